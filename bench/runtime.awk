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

function row(what, is, at_most, at_least, unit,    met) {
    if (is == "-") {
        printf "  %-58s not measured\n", what
        return
    }
    met = (at_most == "" || is + 0 <= at_most) && (at_least == "" || is + 0 >= at_least)
    printf "  %-58s %9.4g %-8s %s %-5s %s\n", what, is, unit, at_most != "" ? "at most " : "at least",
        at_most != "" ? at_most : at_least, met ? "met" : "missed"
}

/"program":"bench_fiber"/ {
    row("fiber switch, one way", number($0, "switch_ns"), 12, "", "ns")
    row("fiber spawn + join, from the pool", number($0, "spawn_join_ns"), 200, "", "ns")
    row("a parked fiber, page tables counted, of a million", number($0, "parked_bytes"), 6144, "", "bytes")
}
/"program":"bench_timer"/ {
    row("arm + cancel a timer, a million armed", number($0, "arm_cancel_ns"), 200, "", "ns")
    row("cancel + arm one of the million, drawn at random", number($0, "rearm_random_ns"), 200, "", "ns")
    row("lateness p99 above a bare spinning thread's",
        number($0, "late_p99_us") - number($0, "bare_late_p99_us"), 10, "", "us")
}
/"program":"bench_shards"/ {
    row("call to another shard and back, to a bare cache line", number($0, "call_ratio"), 4, "", "times")
    row("one-way messages, freed at home", number($0, "messages_per_second") / 1e6, "", 20, "M/s")
    row("waking a sleeping shard, to a bare eventfd", number($0, "wake_ratio"), 1.2, "", "times")
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
        bare = number($0, "cpu_us", head "bare\"")
        uv = number($0, "cpu_us", head "libuv\"")
        if (ours == "-" || bare == "-" || uv == "-")
            continue
        row("TCP echo, " counts[i] " connections: CPU to bare liburing", ours / bare, 1.1, "", "times")
        row("TCP echo, " counts[i] " connections: CPU to libuv", ours / uv, 0.85, "", "times")
        row("  and that of bare liburing to libuv", bare / uv, 0.85, "", "times")
    }
}
/"program":"bench_overload"/ {
    row("goodput at 3 x overload, breaker and back-pressure", number($0, "both_of_peak"), "", 0.8, "of peak")
    row("goodput without either, at most", number($0, "neither_of_peak"), 0.5, "", "of peak")
}
