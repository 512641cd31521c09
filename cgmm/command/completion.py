"""What shells are told so that they complete the command line."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace, _SubParsersAction

from cgmm.command.output import show

BASH = """\
# bash completion of cgmm: eval "$(cgmm completion bash)"
_cgmm() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words=
    [ "$before" != = ] || before=${{COMP_WORDS[COMP_CWORD-2]}}
    [ "$word" != = ] || word=
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{commands}"
    else
        case "${{COMP_WORDS[1]}} $before" in
{choices}
        esac
        if [ -z "$words" ]; then
            case "$word" in
            -*) case "${{COMP_WORDS[1]}}" in
{options}
                esac ;;
            esac
        fi
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _cgmm cgmm
"""
ZSH = """\
# zsh completion of cgmm: eval "$(cgmm completion zsh)"
_cgmm() {{
    local before=$words[CURRENT-1]
    if (( CURRENT == 2 )); then
        compadd -- {commands}
        return
    fi
    if [[ $PREFIX == --*=* ]]; then
        before=${{PREFIX%%=*}}
        compset -P '*='
    fi
    case "$words[2] $before" in
{choices}
    esac
    if [[ $PREFIX == -* ]]; then
        case "$words[2]" in
{options}
        esac
    else
        _files
    fi
}}
compdef _cgmm cgmm
"""


def completion(args: Namespace) -> None:
    """Print a script that makes a shell complete the command line."""
    show(SCRIPTS[args.shell](_commands(args.whole)).rstrip("\n"))


def _commands(whole: ArgumentParser) -> dict[str, ArgumentParser]:
    (added,) = (action for action in whole._actions if isinstance(action, _SubParsersAction))
    return dict(added.choices)


def _chosen(commands: dict[str, ArgumentParser]) -> list[tuple[str, str, list[str]]]:
    """Command, the word before, which is an option or the command itself, and choices, wherever there are these."""
    return [
        ("help", "help", list(commands)),
        *(
            (name, before, [str(choice) for choice in action.choices])
            for name, parser in commands.items()
            for action in parser._actions
            if action.choices is not None
            for before in action.option_strings or [name]
        ),
    ]


def _bash(commands: dict[str, ArgumentParser]) -> str:
    choices = (f'        "{name} {option}") words="{" ".join(own)}" ;;' for name, option, own in _chosen(commands))
    options = (f'                {name}) words="{" ".join(_long(parser))}" ;;' for name, parser in commands.items())
    return BASH.format(commands=" ".join([*commands, "help"]), choices="\n".join(choices), options="\n".join(options))


def _zsh(commands: dict[str, ArgumentParser]) -> str:
    choices = (
        f'    "{name} {option}") compadd -- {" ".join(own)}; return ;;' for name, option, own in _chosen(commands)
    )
    options = (f"        {name}) compadd -- {' '.join(_long(parser))} ;;" for name, parser in commands.items())
    return ZSH.format(commands=" ".join([*commands, "help"]), choices="\n".join(choices), options="\n".join(options))


def _fish(commands: dict[str, ArgumentParser]) -> str:
    lines = ["# fish completion of cgmm: cgmm completion fish | source"]
    told = {name: (parser.description or "").split("\n")[0].rstrip(".") for name, parser in commands.items()}
    for name, what in (told | {"help": "Tell the options of a command, with examples"}).items():
        lines.append(f"complete -c cgmm -n 'test (count (commandline -opc)) -eq 1' -f -a {name} -d {_quoted(what)}")
    for name, before, choices in _chosen(commands):
        if name == before:
            lines.append(f"{_of(name)} -f -a {_quoted(' '.join(choices))}")
    for name, parser in commands.items():
        for action in parser._actions:
            lines += _fish_option(name, action)
    return "\n".join(lines)


def _of(command: str) -> str:
    """What begins a line of fish's that is for one command only."""
    return f"complete -c cgmm -n 'contains {command} (commandline -opc)[2]'"


def _fish_option(command: str, action: Action) -> list[str]:
    long = [f"-l {word[2:]}" for word in action.option_strings if word.startswith("--")]
    if not long:
        return []
    words = f"{_of(command)} {' '.join(long)}"
    if action.choices is not None:
        words += f" -x -a {_quoted(' '.join(map(str, action.choices)))}"
    elif action.nargs != 0:
        words += " -r"
    return [f"{words} -d {_quoted(action.help or '')}"]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _long(parser: ArgumentParser) -> list[str]:
    return [word for action in parser._actions for word in action.option_strings if word.startswith("--")]


SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
