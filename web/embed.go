// Package web has the dashboard as it was built: web/dist, by `make web`. It is part of the program, so that a machine with Go alone builds all of it.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files gives the dashboard: index.html, and what it loads under assets/.
func Files() (fs.FS, error) { return fs.Sub(dist, "dist") }
