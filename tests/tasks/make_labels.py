"""Writes tasks/labels_table.c and tasks/plan_table.c from the benchmark's label tables (label_map_regroup.json,
label_map_rename.json, ct_windows.json, datasets plan_subset.json): make_labels.py TABLES_DIR"""
import json
import sys

TABLES = sys.argv[1]


def load(name):
    with open("%s/%s" % (TABLES, name), encoding="utf-8") as f:
        return json.load(f)


def quote(text):
    return json.dumps(text)


regroup, rename = load("label_map_regroup.json"), load("label_map_rename.json")
windows, plan = load("ct_windows.json"), load("plan_subset.json")
out = ["/* Made by tests/tasks/make_labels.py from the benchmark's tables: do not edit. */",
       '#include "tasks/labels.h"', "", "/* clang-format off */",
       "const mv_label mv_labels[] = {"]
for label in sorted(set(regroup) | set(rename), key=lambda s: s.encode()):
    group, name = regroup.get(label), rename.get(label)
    line = "    {%s, %s, %s}," % (quote(label), quote(group) if group is not None else "0",
                                  quote(name) if name is not None else "0")
    out.append(line if len(line) <= 100 else line.replace(", ", ",\n     ", 1))
out += ["};", "const int mv_n_label = (int)(sizeof mv_labels / sizeof *mv_labels);", "",
        "const mv_ct_window mv_ct_windows[] = {"]
for group, (width, level) in windows.items():
    out.append("    {%s, %d, %d}," % (quote(group), width, level))
out += ["};", "const int mv_n_ct_window = (int)(sizeof mv_ct_windows / sizeof *mv_ct_windows);",
        "/* clang-format on */"]
with open("tasks/labels_table.c", "w", encoding="utf-8") as f:
    f.write("\n".join(out) + "\n")

out = ["/* Made by tests/tasks/make_labels.py from the benchmark's tables: do not edit. */",
       '#include "tasks/labels.h"', "", "/* clang-format off */",
       "const char *const mv_plan_builtin[] = {"]
text = json.dumps(plan, separators=(",", ":"), ensure_ascii=True)
pieces = [text[i:i + 66] for i in range(0, len(text), 66)]
for at in range(0, len(pieces), 30):
    out += ["    " + quote(p) for p in pieces[at:at + 30]]
    out[-1] += ","
out += ["};",
        "const int mv_n_plan_builtin = (int)(sizeof mv_plan_builtin / sizeof *mv_plan_builtin);",
        "/* clang-format on */"]
with open("tasks/plan_table.c", "w", encoding="utf-8") as f:
    f.write("\n".join(out) + "\n")
