"""Writes tasks/prompt_strings.c from weights/tiny/prompt_strings.json (MedVision's strings, CC-BY 4.0).

    python3 tasks/prompt_strings.py            from the source root; clang-format after it
"""
import json

with open("weights/tiny/prompt_strings.json", encoding="utf-8") as f:
    strings = json.load(f)


def literal(text):
    bytes_ = "".join(c if 0x20 <= ord(c) < 0x7F and c not in '"\\' else
                     "".join(f"\\{b:03o}" for b in c.encode()) for c in text)
    parts, line = [], ""
    for word in bytes_.split(" "):
        if len(line) + len(word) > 86:
            parts.append(line)
            line = ""
        line += word + " "
    parts.append(line[:-1])
    return "\n    ".join(f'"{p}"' for p in parts if p)


with open("tasks/prompt_strings.c", "w", encoding="utf-8") as out:
    out.write("/* Made by tasks/prompt_strings.py; do not edit. The strings are MedVision's (CC-BY 4.0, see NOTICE). */\n")
    out.write('#include "tasks/prompt_strings.h"\n\n')
    for name in sorted(strings):
        out.write(f"const char mv_{name.lower()}[] =\n    {literal(strings[name])};\n")
