# SPDX-License-Identifier: Apache-2.0
# After stats.awk: prints the table and the targets, and writes the figures to the file json.

END {
    print_head()
    print_table("set", "SET, 256-byte values")
    print_table("get", "GET")
    judge()
    print_targets()
    print_notes()
    write_json()
}

function print_head()
{
    printf "\n%s cores (%s), Linux %s, %s; skein %s, etcd %s, Redis %s\n", meta["cores"], \
        meta["processor"], meta["kernel"], meta["file_system"], meta["commit"], meta["etcd"], \
        meta["redis"]
    printf "%s repeats of %s s, interleaved; medians, and (least-most); load average before: %s\n", \
        meta["repeats"], meta["seconds"], meta["load_before"]
}

# "12345 (12001-13002)", or "-".
function range(series, format)
{
    if (spread(series, "") == 0)
        return "-"
    return sprintf(format " (" format "-" format ")", middle, least, most)
}

function print_table(operation, title,    i, part)
{
    printf "\n%-22s %-7s %-24s %-20s %s\n", title, "", "rate/s", "CPU us per op", "median us"
    for (i = 1; i <= measured_count; i++) {
        split(measured[i], part, " ")
        if (part[2] != operation)
            continue
        printf "  %-20s %-7s %-24s %-20s %s\n", part[3], part[1], \
            range(measured[i] " rate", "%.0f"), range(measured[i] " cpu", "%.1f"), \
            range(measured[i] " p50", "%.0f")
    }
}

function target(text, direction, bound, series, divisor)
{
    if (spread(series, "") == 0 || spread(divisor, "") == 0)
        return
    target_text[++targets] = text
    target_bound[targets] = bound
    target_direction[targets] = direction
    target_value[targets] = ratio(series, divisor)
    spread(series, divisor)
    target_least[targets] = least
    target_most[targets] = most
    target_met[targets] = direction == "at least" ? target_value[targets] >= bound : \
        target_value[targets] <= bound
}

function beside_etcd(operation, shape, bound)
{
    target(toupper(operation) " rate of skein to etcd, " shape, "at least", bound, \
        "skein " operation " " shape " rate", "etcd " operation " " shape " rate")
}

# Of each measure the first target is the store's own, the second what it is to come to.
function judge()
{
    beside_etcd("set", "50x1", 3)
    beside_etcd("set", "50x1", 5)
    beside_etcd("set", "500x1", 4)
    beside_etcd("set", "50x16", 6)
    beside_etcd("set", "50x16", 10)
    target("SET CPU of skein to etcd, 50x1", "at most", 0.125, \
        "skein set 50x1 cpu", "etcd set 50x1 cpu")
    target("SET median of skein to the floor, 1x1", "at most", 2, \
        "skein set 1x1 p50", "floor set 1x1 p50")
    target("SET median of skein to the floor, 1x1", "at most", 1.5, \
        "skein set 1x1 p50", "floor set 1x1 p50")
    beside_etcd("get", "50x1", 5)
    beside_etcd("get", "500x1", 4)
    beside_etcd("get", "50x16", 10)
    target("GET CPU of 3 skein nodes to Redis, 50x1", "at most", 1.25, \
        "skein get 50x1 cpu", "redis get 50x1 cpu")
}

function print_targets(    i)
{
    if (targets)
        printf "\n%-42s %-15s %-22s\n", "target (ratio of medians)", "wanted", "is"
    for (i = 1; i <= targets; i++)
        printf "  %-40s %-8s %-6s %-22s %s\n", target_text[i], target_direction[i], \
            target_bound[i], sprintf("%.2f (%.2f-%.2f)", target_value[i], target_least[i], \
            target_most[i]), target_met[i] ? "met" : "missed"
}

function print_notes()
{
    print ""
    print "skein and etcd: three nodes, every acknowledgement synced on a majority. redis: one node,"
    print "appendfsync always, no replica. etcd's load (h2load) repeats one key; the others' is"
    print meta["keys"] " uniform keys. The load generators share the cores. floor: four processes that"
    print "block, sync and forward (bench/floor.c). CPU is that of all of a system's processes."
}

function json_string(text)
{
    gsub(/\\/, "\\\\", text)
    gsub(/"/, "\\\"", text)
    gsub(/[\001-\037]/, " ", text)
    return "\"" text "\""
}

function json_spread(series,    repeat, list)
{
    if (spread(series, "") == 0)
        return "null"
    for (repeat = 1; repeat <= repeats; repeat++)
        if ((series, repeat) in value)
            list = list (list == "" ? "" : ", ") value[series, repeat]
    return sprintf("{\"median\": %.6g, \"min\": %.6g, \"max\": %.6g, \"samples\": [%s]}", middle, \
        least, most, list)
}

function write_json(    i, part, shape)
{
    printf "{\n  \"run\": {" >json
    for (i = 1; i <= metas; i++)
        printf "%s%s: %s", (i > 1 ? ", " : ""), json_string(meta_name[i]), \
            json_string(meta[meta_name[i]]) >json
    printf "},\n  \"results\": [" >json
    for (i = 1; i <= measured_count; i++) {
        split(measured[i], part, " ")
        split(part[3], shape, "x")
        printf "%s\n    {\"system\": \"%s\", \"operation\": \"%s\", \"clients\": %d, " \
            "\"outstanding\": %d,\n     \"rate_per_s\": %s,\n     \"cpu_us\": %s,\n     " \
            "\"median_us\": %s}", (i > 1 ? "," : ""), part[1], part[2], shape[1], shape[2], \
            json_spread(measured[i] " rate"), json_spread(measured[i] " cpu"), \
            json_spread(measured[i] " p50") >json
    }
    printf "\n  ],\n  \"targets\": [" >json
    for (i = 1; i <= targets; i++)
        printf "%s\n    {\"name\": %s, \"wanted\": \"%s\", \"bound\": %s, \"value\": %.4g, " \
            "\"min\": %.4g, \"max\": %.4g, \"met\": %s}", (i > 1 ? "," : ""), \
            json_string(target_text[i]), target_direction[i], target_bound[i], target_value[i], \
            target_least[i], target_most[i], target_met[i] ? "true" : "false" >json
    printf "\n  ]\n}\n" >json
    close(json)
}
