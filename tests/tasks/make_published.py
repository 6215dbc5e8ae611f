"""Writes tasks/published_table.c from the saved text of the project page:
make_published.py project_page.txt"""
import re
import sys

with open(sys.argv[1], encoding="utf-8") as f:
    lines = f.read().splitlines()
rows = {}
table = -1
for line in lines:
    if line.startswith("Table "):
        table = int(line[6]) - 2
    cells = [c.strip() for c in line.strip().strip("|").split("|")]
    if table < 0 or not line.startswith("| ") or not re.match(r".*\(\d+B\)$", cells[0]):
        continue
    numbers = [re.match(r"[-\d.]+", c).group(0) for c in cells[1:]]
    rows.setdefault(cells[0], {})[table] = numbers
out = ["/* Made by tests/tasks/make_published.py from the project page: do not edit. */",
       '#include "tasks/eval_board.h"', "", "/* clang-format off */",
       "const mv_published mv_published_rows[] = {"]
for name, tables in rows.items():
    assert [len(tables[t]) for t in range(3)] == [12, 4, 12], (name, tables)
    out.append('    {"%s",' % name)
    for t in range(3):
        open_, close = "{" if t == 0 else " ", "}}," if t == 2 else ","
        out.append("     %s%s%s" % (open_, ", ".join(tables[t]), close))
out += ["};", "const int mv_n_published = (int)(sizeof mv_published_rows / sizeof *mv_published_rows);",
        "/* clang-format on */"]
with open("tasks/published_table.c", "w", encoding="utf-8") as f:
    f.write("\n".join(out) + "\n")
print(len(rows), "models")
