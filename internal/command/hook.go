package command

import (
	"os"

	"github.com/spf13/cobra"

	"redflag/internal/source/apt"
)

// hookName is the hidden command by which apt calls this program back with its plan.
const hookName = "apt-hook"

// aptHook is the command line that apt is given. Empty, where this program cannot name itself, makes the apt source
// rely on its own reading.
func aptHook() []string {
	exe, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{exe, hookName}
}

func (p *Program) hookCommand() *cobra.Command {
	return &cobra.Command{
		Use:    hookName + " FILE",
		Short:  "Called by apt: writes its plan to FILE and stops it",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE:   func(_ *cobra.Command, args []string) error { return exitCode(apt.Hook(args[0])) },
		// apt calls with an environment of its own: nothing of ours is to be read or written.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
	}
}
