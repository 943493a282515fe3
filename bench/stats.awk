# SPDX-License-Identifier: Apache-2.0
# Reads the samples of bench/run and offers medians. For any POSIX awk.
#   meta   NAME VALUE
#   sample SYSTEM OPERATION SHAPE REPEAT RATE CPU_US P50_US        "-": not measured
# A series is named "system operation shape metric"; value[series, repeat] holds it.

BEGIN { FS = "\t"; OFMT = CONVFMT = "%.6g" }

$1 == "meta" {
    meta_name[++metas] = $2
    meta[$2] = $3
}

$1 == "sample" {
    keep($2 " " $3 " " $4 " rate", $5, $6)
    keep($2 " " $3 " " $4 " cpu", $5, $7)
    keep($2 " " $3 " " $4 " p50", $5, $8)
    system_name = $2 " " $3 " " $4
    if (!(system_name in seen)) {
        seen[system_name] = 1
        measured[++measured_count] = system_name
    }
    if ($5 > repeats)
        repeats = $5
}

function keep(series, repeat, number)
{
    if (number != "-")
        value[series, repeat + 0] = number + 0
}

# Sets sorted[1..n] to the values of a series, or with a second one to the quotients of both
# within each repeat; returns n.
function sort_series(series, divisor,    repeat, n, at, x)
{
    n = 0
    for (repeat = 1; repeat <= repeats; repeat++) {
        if (!((series, repeat) in value))
            continue
        x = value[series, repeat]
        if (divisor != "") {
            if (!((divisor, repeat) in value) || value[divisor, repeat] == 0)
                continue
            x /= value[divisor, repeat]
        }
        for (at = ++n; at > 1 && sorted[at - 1] > x; at--)
            sorted[at] = sorted[at - 1]
        sorted[at] = x
    }
    return n
}

# Sets middle, least and most; returns the count of values.
function spread(series, divisor,    n)
{
    n = sort_series(series, divisor)
    middle = least = most = 0
    if (n > 0) {
        middle = n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
        least = sorted[1]
        most = sorted[n]
    }
    return n
}

# The quotient of two medians; 0 when one is missing.
function ratio(series, divisor,    over)
{
    if (spread(series, "") == 0)
        return 0
    over = middle
    return spread(divisor, "") == 0 || middle == 0 ? 0 : over / middle
}
