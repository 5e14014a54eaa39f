// `upgrade completion bash|zsh|fish`: a script for the shell. It asks `upgrade __complete` at each press of Tab, so that it knows the commands, versions, runs
// and backups of that moment, and never has to be made anew.
import type { CommonFlags } from '../flags.ts';
import { isForPrograms } from '../output.ts';
import type { Terminal } from '../terminal.ts';

export type Shell = 'bash' | 'zsh' | 'fish';

// A line for each word: the word, a tab, what it is. A first line ":files" hands over to the shell's own completion of files.
const bash = `_upgrade_complete() {
  local line words=() cur="\${COMP_WORDS[COMP_CWORD]}" i
  # bash takes "--to=1" for three words.
  for ((i = 1; i < COMP_CWORD; i++)); do [[ \${COMP_WORDS[i]} == "=" ]] || words+=("\${COMP_WORDS[i]}"); done
  [[ $cur == "=" ]] && cur=""
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == ":files" ]]; then compopt -o default; COMPREPLY=(); return; fi
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <("\${COMP_WORDS[0]}" __complete -- "\${words[@]}" "$cur" 2>/dev/null)
}
complete -F _upgrade_complete upgrade rungs
`;

const zsh = `#compdef upgrade rungs
_upgrade() {
  local line
  local -a found
  for line in "\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT-1]}" "\${words[CURRENT]}" 2>/dev/null)}"; do
    [[ $line == ":files" ]] && { _files; return }
    [[ -n $line ]] && found+=("\${\${line//:/\\\\:}/$'\\t'/:}")
  done
  _describe -V 'upgrade' found
}
if [[ "\${funcstack[1]}" == "_upgrade" ]]; then _upgrade "$@"; else compdef _upgrade upgrade rungs; fi
`;

const fish = `function __upgrade_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($words[1] __complete -- $words[2..-1] 2>/dev/null)
    if test "$found[1]" = ":files"
        __fish_complete_path (commandline -ct)
    else
        printf '%s\\n' $found
    end
end
complete -c upgrade -f -k -a '(__upgrade_complete)'
complete -c rungs -f -k -a '(__upgrade_complete)'
`;

export async function completion(shell: Shell, flags: CommonFlags, terminal: Terminal): Promise<number> {
  const script = { bash, zsh, fish }[shell];
  terminal.out(isForPrograms(flags) ? `${JSON.stringify({ shell, script })}\n` : script);
  return 0;
}
