pkg query -a %n	%v	%q	%k	%a	%sb	%c
