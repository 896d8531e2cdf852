package command

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"redflag": func() { os.Exit(Run(context.Background(), "development", os.Args[1:], os.Stdout, os.Stderr, nil)) },
	})
}

// TestCommands plays the transcripts of testdata/script, each with folders of its own.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("XDG_STATE_HOME", env.WorkDir+"/state")
			env.Setenv("XDG_CACHE_HOME", env.WorkDir+"/cache")
			env.Setenv("XDG_CONFIG_HOME", env.WorkDir+"/config")
			env.Setenv("DOCKER_CONFIG", env.WorkDir+"/docker")
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
	})
}
