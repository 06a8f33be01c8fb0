"""Shell completion: a script for each shell, and the completions that the script requests."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from string import Template

from click.shell_completion import CompletionItem, ShellComplete, add_completion_class

VARIABLE = "_DEPLOY_SH_COMPLETE"
_BEFORE = "_DEPLOY_SH_WORDS"
_WORD = "_DEPLOY_SH_WORD"

# Each script runs one program only, and only if the typed word resolves to it: the current folder may have another file of the
# same name. The program gets the words before the cursor, one per line, and the word at the cursor. It prints lines of
# "kind TAB value TAB help".
_SCRIPTS = {
    "bash": r"""
$function() {
    local typed=$${1/#\~\//$$HOME/} kind value rest IFS=$$'\n'
    COMPREPLY=()
    [[ "$$(type -P -- "$$typed")" -ef $program ]] || return 0
    while IFS=$$'\t' read -r kind value rest; do
        case $$kind in
            plain) COMPREPLY+=("$$value") ;;
            file) compopt -o default ;;
        esac
    done < <(env $before="$${COMP_WORDS[*]:0:COMP_CWORD}" $word="$${COMP_WORDS[COMP_CWORD]}" $variable=lines_complete $program)
}
complete -o nosort -F $function $name
""",
    "zsh": r"""
#compdef $name
$function() {
    local typed=$${~words[1]} line
    local -a plain described
    [[ $${typed:c} -ef $program ]] || return 1
    for line in "$${(@f)$$(env $before="$${(F)words[1,CURRENT-1]}" $word="$${words[CURRENT]}" $variable=lines_complete $program)}"; do
        case $$line in
            plain$$'\t'*$$'\t'?*) described+=("$${$${line#*$$'\t'}/$$'\t'/:}") ;;
            plain$$'\t'*) plain+=("$${$${line#*$$'\t'}%$$'\t'}") ;;
            file*) _path_files -f ;;
        esac
    done
    (( $$#described )) && _describe -V unsorted described -U
    (( $$#plain )) && compadd -U -V unsorted -a plain
}
if [[ $$zsh_eval_context[-1] == loadautofunc ]]; then $function "$$@"; else compdef $function $name; fi
""",
    "fish": r"""
function $function
    set -l typed (command -s -- (string replace -r '^~/' "$$HOME/" -- (commandline -opc)[1]))
    test -n "$$typed"; and test (builtin realpath -- $$typed) = $program; or return 1
    for line in (env $before="$$(string join \n -- (commandline -opc))" $word="$$(commandline -ct)" $variable=lines_complete $program)
        set -l parts (string split \t -- $$line)
        switch $$parts[1]
            case plain
                echo -- $$parts[2]\t$$parts[3]
            case file
                __fish_complete_path $$parts[2]
        end
    end
end
complete --no-files --command $name --arguments "($function)"
""",
}


class _LineCompletion(ShellComplete):
    """The variables that the scripts set, and the lines that they read."""

    name = "lines"
    source_template = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and the word at it. The value of ``--flag=value`` is a separate word."""
        _, *before = map(_unquote, os.environ[_BEFORE].split("\n"))
        *before, word = _rejoin_flags([*before, _unquote(os.environ[_WORD])])
        name, equals, value = word.partition("=")
        return ([*before, name], value) if name.startswith("--") and equals else (before, word)

    def format_completion(self, item: CompletionItem) -> str:
        """Format an item as a line; tabs are only separators in the scripts."""
        replaced = _unquote(os.environ[_WORD])
        prefix = replaced[: replaced.find("=") + 1] if replaced.startswith("--") and item.type == "plain" else ""
        return f"{item.type}\t{prefix}{item.value}\t{item.help or ''}"


add_completion_class(_LineCompletion)


def _rejoin_flags(words: Iterable[str]) -> list[str]:
    """Join the parts of each ``--flag=value``, which bash splits into three words."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1].startswith("--") and (word == "=" or joined[-1].endswith("=")):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _unquote(word: str) -> str:
    try:
        return "".join(shlex.split(word))
    except ValueError:  # an unclosed quote
        return word.lstrip("'\"")


def build_script(shell: str, program: Path) -> str:
    """Build the script with which ``shell`` ("bash", "zsh" or "fish") completes the command lines of ``program`` only."""
    return Template(_SCRIPTS[shell].lstrip("\n")).substitute(
        function=f"_complete_{re.sub(r'[^A-Za-z0-9]', '_', program.name)}",
        name=shlex.quote(program.name),
        program=shlex.quote(str(program.resolve())),
        variable=VARIABLE,
        before=_BEFORE,
        word=_WORD,
    )
