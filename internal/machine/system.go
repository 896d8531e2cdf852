package machine

import "strings"

// ourPlaces are the folders of the system's administrator in which RedFlag keeps its own files, as this program names them on every system, and below what
// they are on Windows: its users may make folders in the root of its disk, and would be trusted with what belongs to root.
var ourPlaces = []struct{ name, windows string }{
	{"/var/lib/redflag", "/ProgramData/redflag/state"},
	{"/var/cache/redflag", "/ProgramData/redflag/cache"},
	{"/etc/redflag", "/ProgramData/redflag/config"},
}

// onWindows gives the name on Windows of a file that is RedFlag's own; any other keeps its name.
func onWindows(name string) string {
	for _, p := range ourPlaces {
		if rest, ok := strings.CutPrefix(name, p.name); ok && (rest == "" || rest[0] == '/') {
			return p.windows + rest
		}
	}
	return name
}
