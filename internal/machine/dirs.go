package machine

import (
	"os"
	"os/user"
	"path/filepath"
	"runtime"

	"redflag/internal/fleet"
)

// Folders are where RedFlag keeps its own files. None of them needs to exist: [WriteFile] makes the folder that it needs.
type Folders struct {
	// State is what should not be lost: the last scan.
	State string
	// Cache is what can be had again, at a cost.
	Cache string
	// Config is where a person writes.
	Config string
}

// Dirs gives the folders of whoever runs us: those of the XDG Base Directory Specification's variables where they are set to an
// absolute path, for root those of the system (/var/lib/redflag, /var/cache/redflag, /etc/redflag; for administrators of Windows
// folders in ProgramData, which are closed to others), otherwise the user's usual ones (~/.local/state/redflag, ~/.cache/redflag,
// ~/.config/redflag, and what macOS and Windows have instead). It fails for a user who has no home and no variables, and where
// somebody else has made the system's folder.
func Dirs() (Folders, error) {
	root := Administers()
	f, err := folders(runtime.GOOS, root, home(), os.Getenv)
	if err == nil && root {
		err = trusted(filepath.Dir(f.State))
	}
	return f, err
}

// home is HOME, or what the user database says where a service manager or cron set none.
func home() string {
	if dir, err := os.UserHomeDir(); err == nil && filepath.IsAbs(dir) {
		return dir
	}
	if u, err := user.Current(); err == nil && filepath.IsAbs(u.HomeDir) {
		return u.HomeDir
	}
	return ""
}

// ours is the name of our folder inside of others'.
const ours = "redflag"

func folders(goos string, root bool, home string, env func(string) string) (Folders, error) {
	usual := usualFolders(goos, root, home, env)
	f := Folders{
		State:  fromXDG(env("XDG_STATE_HOME"), usual.State),
		Cache:  fromXDG(env("XDG_CACHE_HOME"), usual.Cache),
		Config: fromXDG(env("XDG_CONFIG_HOME"), usual.Config),
	}
	if f.State == "" || f.Cache == "" || f.Config == "" {
		return Folders{}, &fleet.Unknown{
			Because: "this user has no home folder, so there is no place for the state, the cache and the configuration",
			Remedy:  "set HOME, or XDG_STATE_HOME, XDG_CACHE_HOME and XDG_CONFIG_HOME, to absolute paths",
		}
	}
	return f, nil
}

// fromXDG prefers a variable. "If an implementation encounters a relative path in any of these variables it should consider the
// path invalid and ignore it" (XDG Base Directory Specification).
func fromXDG(variable, usual string) string {
	if filepath.IsAbs(variable) {
		return filepath.Join(variable, ours)
	}
	return usual
}

// usualFolders gives what holds without any XDG variable; empty ones where nobody can tell.
func usualFolders(goos string, root bool, home string, env func(string) string) Folders {
	switch {
	case goos == "windows" && root && env("ProgramData") != "":
		ours := filepath.Join(env("ProgramData"), ours)
		return Folders{below(ours, "state"), below(ours, "cache"), below(ours, "config")}
	case goos == "windows":
		local, roaming := env("LocalAppData"), env("AppData")
		return Folders{below(local, ours, "state"), below(local, ours, "cache"), below(roaming, ours)}
	case root:
		return Folders{"/var/lib/redflag", "/var/cache/redflag", "/etc/redflag"}
	case goos == "darwin":
		support := below(home, "Library", "Application Support", ours)
		return Folders{support, below(home, "Library", "Caches", ours), support}
	default:
		return Folders{below(home, ".local", "state", ours), below(home, ".cache", ours), below(home, ".config", ours)}
	}
}

func below(dir string, names ...string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(append([]string{dir}, names...)...)
}
