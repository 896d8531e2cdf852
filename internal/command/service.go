package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"github.com/kardianos/service"
	"github.com/spf13/cobra"

	"redflag/internal/agent"
)

// nobody is a service without a life of its own: what runs is started by the service manager with `agent run`.
type nobody struct{}

func (nobody) Start(service.Service) error { return nil }
func (nobody) Stop(service.Service) error  { return nil }

// agentService is the agent as service managers other than systemd know it: OpenRC, launchd, rc, Windows. It is one process that runs as root.
func (p *Program) agentService(run service.Interface) (service.Service, error) {
	exe, err := os.Executable()
	if err == nil {
		exe, err = filepath.EvalSymlinks(exe)
	}
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	s, err := service.New(run, &service.Config{
		Name: "redflag-agent", DisplayName: "RedFlag agent", Description: "RedFlag agent: reports pending updates to the fleet's server",
		Executable: exe, Arguments: []string{"agent", "run"},
	})
	if err != nil {
		return nil, fmt.Errorf("find the system's service manager: %w", err)
	}
	return s, nil
}

func (p *Program) serviceInstallCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "install",
		Short: "Start the agent now and with the system (as root)",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.install(cmd.Context()) },
	}
}

func (p *Program) install(ctx context.Context) error {
	if _, err := agent.LoadIdentity(p.AgentDir()); err != nil {
		return err
	}
	if systemdRuns() {
		return p.installUnits(ctx)
	}
	s, err := p.agentService(nobody{})
	if err != nil {
		return err
	}
	if _, err := s.Status(); errors.Is(err, service.ErrNotInstalled) {
		if err := s.Install(); err != nil {
			return fmt.Errorf("install the service with %s: %w", s.Platform(), err)
		}
	}
	if err := s.Restart(); err != nil {
		return fmt.Errorf("start the service with %s: %w", s.Platform(), err)
	}
	fmt.Fprintf(p.stdout, "The agent runs, and starts with the system (%s, service redflag-agent).\n", s.Platform())
	return nil
}

func (p *Program) uninstallCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "uninstall",
		Short: "Stop the agent, and do not start it with the system any more (as root)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.uninstall(cmd.Context()); err != nil {
				return fmt.Errorf("remove the service: %w", err)
			}
			fmt.Fprintln(p.stdout, "The agent is stopped, and does not start with the system any more. This host is still in its fleet: `redflag agent unenroll` takes it out.")
			return nil
		},
	}
}

func (p *Program) uninstall(ctx context.Context) error {
	if systemdRuns() {
		return p.uninstallUnits(ctx)
	}
	s, err := p.agentService(nobody{})
	if err != nil {
		return err
	}
	_ = s.Stop() // one that does not run needs no stop
	return s.Uninstall()
}

// asService runs something until it is stopped: by a signal, or by Windows' service manager, which sends none.
func asService(ctx context.Context, run func(context.Context) error) error {
	if runtime.GOOS != "windows" || service.Interactive() {
		return run(ctx)
	}
	w := &windowsService{run: run, done: make(chan error, 1)}
	s, err := service.New(w, &service.Config{Name: "redflag-agent"})
	if err != nil {
		return err
	}
	return s.Run()
}

type windowsService struct {
	run  func(context.Context) error
	stop context.CancelFunc
	done chan error
}

// Start implements service.Interface.
func (w *windowsService) Start(service.Service) error {
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	go func() { w.done <- w.run(ctx) }()
	return nil
}

// Stop implements service.Interface.
func (w *windowsService) Stop(service.Service) error {
	w.stop()
	return <-w.done
}

// ServiceLog is the log of what runs for long: one line an event, without the time where systemd's journal notes it.
func (p *Program) ServiceLog() *slog.Logger {
	opt := &slog.HandlerOptions{Level: slog.LevelInfo}
	if os.Getenv("JOURNAL_STREAM") != "" {
		opt.ReplaceAttr = withoutTime
	}
	return slog.New(slog.NewTextHandler(p.stderr, opt))
}
