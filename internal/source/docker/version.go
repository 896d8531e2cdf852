package docker

import (
	"github.com/distribution/reference"

	"redflag/internal/registry"
)

// Version gives the version of the program in an image as its config names it; empty where it does not.
func Version(name reference.Named, config registry.ImageConfig) string {
	return versionOf(name, config.Labels, config.Env)
}
