complete -c PROGRAM -a '(PROGRAM __complete (commandline -opc) (commandline -ct) 2> /dev/null)'
