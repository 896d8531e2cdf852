package docker

import (
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"redflag/internal/machine"
)

// maxStorage bounds Podman's list of containers: 10,000 are 8 MB.
const maxStorage = 16 << 20

// hasStored says whether Podman's storage has containers, of the system's or of the user's own, and for root of any user's (containers/storage, containers.json
// beside each driver's folder). Without its API service they cannot be asked for, which must not look as if there were none.
func (s *Source) hasStored(m *machine.Machine) bool {
	data := s.getenv("XDG_DATA_HOME")
	if home := s.getenv("HOME"); data == "" && home != "" {
		data = path.Join(home, ".local", "share")
	}
	return storesContainers(m, "/var/lib") || data != "" && storesContainers(m, data) || len(s.silentUsers(m)) > 0
}

// storesContainers says whether there are containers in a folder for data.
func storesContainers(m *machine.Machine, data string) bool {
	root := path.Join(data, "containers", "storage")
	entries, err := m.ReadDir(root)
	if err != nil {
		return false // not there, or another user's
	}
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return strings.HasSuffix(e.Name(), "-containers") && listsContainers(m, path.Join(root, e.Name()))
	})
}

func listsContainers(m *machine.Machine, dir string) bool {
	for _, name := range []string{"containers.json", "volatile-containers.json"} {
		data, err := m.ReadForeign(path.Join(dir, name), maxStorage)
		if os.IsNotExist(err) {
			continue
		}
		var list []json.RawMessage
		if err != nil || json.Unmarshal(data, &list) != nil || len(list) > 0 {
			return true // what cannot be read is not nothing
		}
	}
	return false
}
