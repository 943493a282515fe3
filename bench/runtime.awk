# SPDX-License-Identifier: Apache-2.0
# The lines that bench/runtime collected, as a table with the targets.

# The number under @name in the first object of @text that holds @where.
function number(text, name, where,    at) {
    at = where == "" ? 1 : index(text, where)
    if (!at)
        return "-"
    text = substr(text, at)
    if (!match(text, "\"" name "\": *-?[0-9.]+"))
        return "-"
    text = substr(text, RSTART, RLENGTH)
    sub(/.*: */, "", text)
    return text
}

# @low, @high: the least and the most of what was measured, in the same unit; "-": not known.
function row(what, is, at_most, at_least, unit, low, high,    met, spread) {
    if (is == "-") {
        printf "  %-58s not measured\n", what
        return
    }
    met = (at_most == "" || is + 0 <= at_most) && (at_least == "" || is + 0 >= at_least)
    if (low != "" && low != "-")
        spread = sprintf("(%.4g-%.4g)", low, high)
    printf "  %-58s %9.5g %-8s %-17s %s %-5s %s\n", what, is, unit, spread,
        at_most != "" ? "at most " : "at least", at_most != "" ? at_most : at_least, met ? "met" : "missed"
}

# The row of a figure whose spread stands beside it in @text.
function figure(what, text, name, at_most, at_least, unit) {
    row(what, number(text, name), at_most, at_least, unit, number(text, name "_min"), number(text, name "_max"))
}

# The row of @mine divided by @other, spreads likewise.
function ratio(what, text, mine, other, at_most,    bottom) {
    bottom = number(text, other)
    row(what, number(text, mine) / bottom, at_most, "", "times", number(text, mine "_min") / bottom,
        number(text, mine "_max") / bottom)
}

/"program":"bench_fiber"/ {
    figure("fiber switch, one way", $0, "switch_ns", 12, "", "ns")
    figure("fiber spawn + join, from the pool", $0, "spawn_join_ns", 200, "", "ns")
    row("a parked fiber, page tables counted, of a million", number($0, "parked_bytes"), 6144, "", "bytes")
}
/"program":"bench_timer"/ {
    figure("arm + cancel a timer, a million armed", $0, "arm_cancel_ns", 200, "", "ns")
    figure("cancel + arm one of the million, drawn at random", $0, "rearm_random_ns", 200, "", "ns")
    row("lateness p99 above a bare spinning thread's",
        number($0, "late_p99_us") - number($0, "bare_late_p99_us"), 10, "", "us")
}
/"program":"bench_shards"/ {
    ratio("call to another shard and back, to a bare cache line", $0, "call_ns", "line_ns", 4)
    row("one-way messages, freed at home", number($0, "messages_per_second") / 1e6, "", 20, "M/s",
        1e3 / number($0, "message_ns_max"), 1e3 / number($0, "message_ns_min"))
    ratio("waking a sleeping shard, to a bare eventfd", $0, "wake_ns", "eventfd_ns", 1.2)
    row("CPU of two idle shards", number($0, "idle_cpu_percent"), 0.1, "", "percent")
}
/"program":"bench_groups"/ {
    row("shares 100:300 under overload: lowest of the runs", number($0, "cpu_ratio_min"), "", 2.85, "times")
    row("shares 100:300 under overload: highest of the runs", number($0, "cpu_ratio_max"), 3.15, "", "times")
    row("p99 of a critical group, in quotas",
        number($0, "critical_p99_us") / number($0, "quota_us"), 2, "", "quotas")
    row("CPU of an idle process", number($0, "idle_cpu_percent"), 0.1, "", "percent")
}
/"program":"echo"/ {
    split("1 64 1000", counts, " ")
    for (i = 1; i <= 3; i++) {
        head = "\"connections\":" counts[i] ",\"server\":\""
        ours = number($0, "cpu_us", head "ours\"")
        low = number($0, "cpu_us_min", head "ours\"")
        high = number($0, "cpu_us_max", head "ours\"")
        bare = number($0, "cpu_us", head "bare\"")
        uv = number($0, "cpu_us", head "libuv\"")
        if (ours == "-" || bare == "-" || uv == "-")
            continue
        row("TCP echo, " counts[i] " connections: CPU to bare liburing", ours / bare, 1.1, "", "times",
            low / bare, high / bare)
        row("TCP echo, " counts[i] " connections: CPU to libuv", ours / uv, 0.85, "", "times", low / uv, high / uv)
        row("  and that of bare liburing to libuv", bare / uv, 0.85, "", "times")
    }
    row("idle connections held", number($0, "idle_connections"), "", 18000, "")
    row("memory of an idle connection", number($0, "idle_bytes_ours"), 8192, "", "bytes")
}
/"program":"bench_shards_echo"/ {
    row("two shards: CPU of a request, to that of one", number($0, "cpu_ratio"), 1.1, "", "times",
        number($0, "cpu_ns_two_min") / number($0, "cpu_ns_one"), number($0, "cpu_ns_two_max") / number($0, "cpu_ns_one"))
    share = number($0, "share_worst")
    row("two shards: the larger part of the connections, at worst", 100 * (share < 0.5 ? 1 - share : share), 55, "",
        "percent")
}
/"program":"bench_file"/ {
    row("file reads, 4 KiB at random, 32 under way, to fio", number($0, "ratio", "\"case\":\"read"), "", 0.9, "times",
        number($0, "ours_min", "\"case\":\"read") / number($0, "fio", "\"case\":\"read"),
        number($0, "ours_max", "\"case\":\"read") / number($0, "fio", "\"case\":\"read"))
    row("file writes in sequence, each synced, to fio", number($0, "ratio", "\"case\":\"write"), "", 0.9, "times",
        number($0, "ours_min", "\"case\":\"write") / number($0, "fio", "\"case\":\"write"),
        number($0, "ours_max", "\"case\":\"write") / number($0, "fio", "\"case\":\"write"))
}
/"program":"bench_overload"/ {
    peak = number($0, "peak")
    row("goodput at 3 x overload, breaker and back-pressure", number($0, "both_of_peak"), "", 0.8, "of peak",
        number($0, "both_min") / peak, number($0, "both_max") / peak)
    row("goodput without either, at most", number($0, "neither_of_peak"), 0.5, "", "of peak",
        number($0, "neither_min") / peak, number($0, "neither_max") / peak)
}
