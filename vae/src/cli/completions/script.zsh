#compdef PROGRAM
_PROGRAM() {
    local word description
    local -a open closed
    while IFS=$'\t' read -r word description; do
        case $word in
            *=) open+=("${word//:/\\:}:$description") ;;
            *) closed+=("${word//:/\\:}:$description") ;;
        esac
    done < <("${(Q)words[1]/#\~/$HOME}" __complete "${(@Q)words[1,CURRENT]}" 2> /dev/null)
    (( $#open )) && _describe PROGRAM open -S ''
    (( $#closed )) && _describe PROGRAM closed
    (( $#open + $#closed )) || _files
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _PROGRAM PROGRAM
