_PROGRAM() {
    local line=${COMP_LINE:0:COMP_POINT} words word current prefix
    read -ra words <<< "$line"
    case $line in *[[:space:]]) words+=("") ;; esac
    current=${words[${#words[@]} - 1]}
    # Only what follows the last = of a word is replaced.
    prefix=${current%"${current##*=}"}
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        COMPREPLY+=("${word#"$prefix"}")
        case $word in *=) compopt -o nospace 2> /dev/null ;; esac
    done < <("${words[0]/#\~/$HOME}" __complete "${words[@]}" 2> /dev/null)
}
complete -o bashdefault -o default -F _PROGRAM PROGRAM
