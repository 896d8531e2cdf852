pkg rquery -U %n	%v	%R curl git
