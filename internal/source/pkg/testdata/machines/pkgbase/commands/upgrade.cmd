pkg upgrade -nU
