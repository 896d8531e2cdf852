package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"redflag/internal/fleet"
)

const (
	// maxCommand is how long a command in a container may take: a database's dump takes minutes.
	maxCommand = 15 * time.Minute
	// maxSaid is how much of what a command or a container says is kept.
	maxSaid = 64 << 10
	// maxLines is how many of a container's last lines go into a job's log.
	maxLines = 20
)

// exec runs a command in a container, and gives what it said. Its failure is an error.
func (e *engine) exec(ctx context.Context, id string, command []string) (said []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, maxCommand)
	defer cancel()
	made, err := e.api.ExecCreate(ctx, id, client.ExecCreateOptions{AttachStdout: true, AttachStderr: true, Cmd: command})
	if err != nil {
		return nil, err
	}
	resp, err := e.raw(ctx, http.MethodPost, "/exec/"+made.ID+"/start", []byte(`{"Detach":false,"Tty":false}`))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	kept := &tail{limit: maxSaid}
	if _, err := stdcopy.StdCopy(kept, kept, resp.Body); err != nil && ctx.Err() == nil && !errors.Is(err, errEndless) {
		return kept.bytes(), err
	}
	if ctx.Err() != nil {
		return kept.bytes(), fmt.Errorf("it did not end within %s", maxCommand)
	}
	done, err := e.api.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
	switch {
	case err != nil:
		return kept.bytes(), err
	case done.Running:
		return kept.bytes(), errors.New("it said more than can be read, and goes on")
	case done.ExitCode != 0:
		return kept.bytes(), fmt.Errorf("it ended with code %d%s", done.ExitCode, lastLine(kept.bytes()))
	}
	return kept.bytes(), nil
}

// lastLog gives the last lines that a container said.
func (e *engine) lastLog(ctx context.Context, id string) []byte {
	r, err := e.byID(ctx, id)
	if err != nil {
		return nil
	}
	log, err := e.api.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: fmt.Sprint(maxLines)})
	if err != nil {
		return nil // its logging driver cannot be read, as some cannot
	}
	defer log.Close()
	kept := &tail{limit: maxSaid}
	if r.Config != nil && r.Config.Tty {
		_, _ = io.Copy(kept, log) // what came until then is all that there is
	} else {
		_, _ = stdcopy.StdCopy(kept, kept, log)
	}
	return kept.bytes()
}

// lastLine gives the last line that is not empty, to be put behind a sentence.
func lastLine(said []byte) string {
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	if last := fleet.Plain(lines[len(lines)-1]); last != "" {
		return ": " + last
	}
	return ""
}

// tail keeps the end of what is written to it.
type tail struct {
	limit int
	kept  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - t.limit; over > t.limit { // not at every write
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

func (t *tail) bytes() []byte { return bytes.TrimSpace(t.kept[max(0, len(t.kept)-t.limit):]) }
