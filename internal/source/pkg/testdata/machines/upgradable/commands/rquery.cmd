pkg rquery -U %n	%v	%R curl drm-515-kmod icu nginx sqlite3
