package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path"
	"strings"

	"redflag/internal/machine"
)

// maxContext bounds the files that describe a context, and Docker's config.json.
const maxContext = 1 << 20

// contextSocket gives the socket that the docker command's context in use names (docs.docker.com, contexts): Docker Desktop, Colima and
// rootless engines listen wherever they like. It is empty for the default context, and for one of another machine, whose
// containers are not this machine's.
func (s *Source) contextSocket(m *machine.Machine) string {
	dir := s.getenv("DOCKER_CONFIG")
	if home := s.getenv("HOME"); dir == "" && home != "" {
		dir = path.Join(home, ".docker")
	}
	if dir == "" {
		return ""
	}
	name := s.getenv("DOCKER_CONTEXT")
	if name == "" {
		var config struct {
			CurrentContext string `json:"currentContext"`
		}
		readJSON(m, path.Join(dir, "config.json"), &config)
		name = config.CurrentContext
	}
	if name == "" || name == "default" {
		return ""
	}
	id := sha256.Sum256([]byte(name))
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	readJSON(m, path.Join(dir, "contexts", "meta", hex.EncodeToString(id[:]), "meta.json"), &meta)
	if host := meta.Endpoints["docker"].Host; strings.HasPrefix(host, "unix:///") {
		return host
	}
	return ""
}

// readJSON reads a file of the docker command's. One that is not there, or no JSON, says nothing.
func readJSON(m *machine.Machine, name string, into any) {
	if data, err := m.ReadFile(name, maxContext); err == nil {
		_ = json.Unmarshal(data, into)
	}
}
