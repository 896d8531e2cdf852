pkg version -vRU -L=
