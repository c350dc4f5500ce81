"""lpose config [key=value …] [--config FILE] [docs=true]
lpose config schema [out=FILE]

Prints the complete configuration that lpose train would use with the same words, and where each value comes from. It is a
file to keep and change:

  lpose config model=dekr_w32 docs=true > my.yaml
  lpose train --config my.yaml data.root=PROJECT

  docs=true      what each key means, above it
  --config FILE  start from such a file, or from the config.yaml of a run
  schema         a JSON schema of these files, for editors that complete and check YAML; with every installed plugin
"""

import json
from dataclasses import dataclass
from pathlib import Path

from lp_apps.options import parse, taken


@dataclass
class SchemaOptions:
    """What `lpose config schema` takes."""

    out: str | None = None


def run(words: list[str]) -> None:
    """Print a configuration, or write the schema."""
    from lp_train import as_yaml, explained, schema

    if words[:1] == ["schema"]:
        out = parse(words[1:], SchemaOptions).out
        text = json.dumps(schema(), indent=1)
        if out is None:
            print(text)
            return
        Path(out).write_text(f"{text}\n")
        print(f"schema  {out}\nFirst line of a file it is for:\n# yaml-language-server: $schema={out}")
        return
    file, rest = taken(words, "--config")
    docs = "docs=true" in rest
    settings = explained([word for word in rest if not word.startswith("docs=")], Path(file) if file else None)
    print(as_yaml(settings, docs=docs), end="")
