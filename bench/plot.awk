# SPDX-License-Identifier: Apache-2.0
# After stats.awk: an SVG of small panels of horizontal bars. A bar is a median, its whisker the
# least and the most; each panel has a scale of its own, from 0.

BEGIN {
    color["skein"] = "#1b7f79"
    color["etcd"] = "#8a8f98"
    color["redis"] = "#c2603f"
    color["floor"] = "#2c3340"
    panel_width = 380
    bar_height = 20
    row_height = 28
    panel_height = 136
}

END {
    panel_count = 7
    columns = 2
    rows = int((panel_count + columns - 1) / columns)
    width = columns * panel_width + 20
    height = rows * panel_height + 80
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" " \
        "height=\"%d\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#2c3340\">\n", width, \
        height, width, height
    printf "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n"
    printf "<text x=\"20\" y=\"28\" font-size=\"16\" font-weight=\"bold\">%s</text>\n", \
        "Synced writes through three nodes, one machine, one run"
    printf "<text x=\"20\" y=\"46\">%s</text>\n", meta["repeats"] " repeats of " meta["seconds"] \
        " s on " meta["cores"] " cores; bar: median, whisker: least to most; redis is a single node"
    panel("SET a second, 1 client, 1 outstanding", "set 1x1", "rate")
    panel("SET a second, 1 client, 16 outstanding", "set 1x16", "rate")
    panel("SET a second, 50 clients, 1 outstanding", "set 50x1", "rate")
    panel("SET a second, 50 clients, 16 outstanding", "set 50x16", "rate")
    panel("SET median latency in us, 1 client (less is better)", "set 1x1", "p50")
    panel("CPU us a SET, 50 clients, 1 outstanding (less is better)", "set 50x1", "cpu")
    panel("CPU us a GET, 50 clients, 1 outstanding (less is better)", "get 50x1", "cpu")
    print "</svg>"
}

function panel(title, what, metric,    systems, names, i, n, top, x, y, scale)
{
    x = 20 + panels % columns * panel_width
    y = 76 + int(panels / columns) * panel_height
    panels++
    printf "<text x=\"%d\" y=\"%d\" font-weight=\"bold\">%s</text>\n", x, y, title
    n = split("floor skein etcd redis", names, " ")
    top = 0
    for (i = 1; i <= n; i++)
        if (spread(names[i] " " what " " metric, "") > 0 && most > top)
            top = most
    if (top == 0)
        return
    scale = (panel_width - 140) / top
    y += 10
    for (i = 1; i <= n; i++) {
        if (spread(names[i] " " what " " metric, "") == 0)
            continue
        bar(x, y, names[i], scale)
        y += row_height
    }
}

function bar(x, y, name, scale,    left, mid)
{
    left = x + 44
    mid = y + bar_height / 2
    printf "<text x=\"%d\" y=\"%d\">%s</text>\n", x, mid + 4, name
    printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", left, y, \
        middle * scale, bar_height, color[name]
    printf "<path d=\"M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8\" stroke=\"#2c3340\" fill=\"none\"/>\n", \
        left + least * scale, mid, left + most * scale, left + least * scale, mid - 4, \
        left + most * scale, mid - 4
    printf "<text x=\"%.1f\" y=\"%d\">%s</text>\n", left + most * scale + 6, mid + 4, \
        sprintf(middle < 100 ? "%.1f" : "%.0f", middle)
}
