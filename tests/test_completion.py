"""What shells offer where a word of the command line is begun, when they have read the script that it prints."""

import os
import re
import shutil
import subprocess

import pytest

from cgmm.command.arguments import parser
from cgmm.mixture.families import FAMILIES

COMMANDS = {*parser()._subparsers._group_actions[0].choices}
FILES = {"rows of two.csv"}  # All that there are where the shell looks.
# What is typed, and what is offered. An option's value may follow "=", which each shell takes apart in its own way.
OFFERED = {
    "cgmm ": COMMANDS | {"help"},
    "cgmm fi": {"fit", "fit-many"},
    "cgmm help sc": {"score"},
    "cgmm completion ": {"bash", "zsh", "fish"},
    "cgmm fit ": FILES,
    "cgmm fit --cov": {"--covariance"},
    "cgmm fit --no-": {"--no-accelerate", "--no-header"},
    "cgmm predict fit --acc": set(),  # an option of fit, which is a file here
    "cgmm fit x.csv --covariance ": set(FAMILIES),
    "cgmm fit x.csv --covariance VV": {"VVE", "VVI", "VVV"},
    "cgmm fit x.csv --covariance=VV": {"VVE", "VVI", "VVV"},
    "cgmm fit x.csv -k 2 -o ": FILES,
}
# Each script prints, for each line of $TYPED, what is offered, a word a line, and then a line that is empty.
BASH = r"""
source "$SCRIPT"
[[ $(complete -p cgmm) == *"-o default"* ]] || exit 1
while IFS= read -r line; do
    read -ra COMP_WORDS <<< "${line//=/ = }"
    [[ $line != *" " ]] || COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
    _cgmm
    [[ ${#COMPREPLY[@]} -gt 0 || $line == *-acc ]] || COMPREPLY=(*)
    printf '%s\n' "${COMPREPLY[@]}" "" >> "$OFFERED"
done <<< "$TYPED"
"""
FISH = r"""
source $SCRIPT
for line in (string split \n -- $TYPED)
    complete -C $line | string split -f 1 \t | string replace -r '^--\w+=' '' >> $OFFERED
    echo >> $OFFERED
end
"""
# It completes lines in its editor only, and files by a function of its own.
ZSH = r"""
autoload -Uz compinit && compinit -D -u
source $SCRIPT
_files() { compadd -- *(N) }
compadd() { local -a all; builtin compadd -O all "$@"; (( ! $#all )) || print -rl -- $all >> $OFFERED }
zle-line-init() {
    for line in ${(f)TYPED}; do
        BUFFER=$line CURSOR=$#line
        zle complete-word
        print >> $OFFERED
    done
    exit
}
zle -N zle-line-init
"""


def bash(folder, environment):
    subprocess.run(["bash", "--norc", "-c", BASH], cwd=folder, env=environment, timeout=60, check=True)


def fish(folder, environment):
    subprocess.run(["fish", "-c", FISH], cwd=folder, env=environment, timeout=60, check=True)


def zsh(folder, environment):
    (folder.parent / ".zshrc").write_text(ZSH)
    ours, its = os.openpty()
    try:
        subprocess.run(["zsh", "-d", "-i"], cwd=folder, env=environment, stdin=its, stdout=its, stderr=its, timeout=60)
    finally:
        os.close(ours)
        os.close(its)


@pytest.mark.parametrize("shell", [bash, fish, zsh])
def test_what_is_offered(shell, done, tmp_path):
    printed = done("completion", shell.__name__)
    if os.name == "nt" or shutil.which(shell.__name__) is None:
        pytest.skip(f"there is no {shell.__name__}")
    folder, script, offered = tmp_path / "files", tmp_path / "script", tmp_path / "offered"
    folder.mkdir()
    (folder / "rows of two.csv").touch()
    script.write_text(printed)
    home = dict.fromkeys(("HOME", "ZDOTDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"), str(tmp_path))
    given = {"SCRIPT": script, "OFFERED": offered, "TYPED": "\n".join(OFFERED), "TERM": "dumb"}
    shell(folder, os.environ | home | given)
    *blocks, rest = re.split(r"^\n", offered.read_text(), flags=re.MULTILINE)
    assert rest == "" and len(blocks) == len(OFFERED)
    assert {typed: set(block.splitlines()) for typed, block in zip(OFFERED, blocks, strict=True)} == OFFERED
