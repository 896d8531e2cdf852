package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"redflag/internal/fleet"
)

const (
	// maxProcesses bounds a scan: Linux's own default limit of a 64-bit machine is 32,768 at first and 4 million at most.
	maxProcesses = 100_000
	// maxMaps bounds what is read of one process: 65,530 mappings, the kernel's default limit, are about 8 MB.
	maxMaps = 32 << 20
	// maxReaders is how many processes are read at once. The kernel does the work, and there is little to gain above.
	maxReaders = 4
	// maxFiles is how many replaced files are named for one service.
	maxFiles = 100
	// maxCgroup bounds /proc/PID/cgroup: a dozen lines of paths.
	maxCgroup = 64 << 10
)

// sight is what became of one process.
type sight struct {
	state sightState
	owner owner
	files []string
	// partial: there is more of the process than was read.
	partial bool
}

type sightState int

const (
	gone   sightState = iota // it ended, or it is the kernel's own and has no memory
	hidden                   // another user's, or it cannot be read for another reason
	seen
)

// replacedInUse looks at every process for code whose file was replaced or removed since it was started: what an update
// has mended on disk and not in memory. Processes that end meanwhile are no errors.
func (m *Machine) replacedInUse(ctx context.Context) inUse { return m.inUse(ctx, (*looker).look) }

// inUse looks at every process as look does.
func (m *Machine) inUse(ctx context.Context, look func(*looker, int) sight) inUse {
	if runtime.GOOS != "linux" { // FreeBSD has a /proc, which is empty
		return inUse{cut: unseen(systemName(runtime.GOOS))}
	}
	pids, err := m.pids()
	if err != nil {
		return inUse{cut: "the processes of this machine cannot be listed: /proc is not there"}
	}
	var found inUse
	if len(pids) > maxProcesses {
		found.cut = fmt.Sprintf("only %d of %d processes were looked at", maxProcesses, len(pids))
		pids = pids[:maxProcesses]
	}
	if _, err := m.Stat("/proc/1"); err != nil {
		found.cut = "/proc hides other users' processes (hidepid): run as root to see them"
	}
	sights := m.lookAll(ctx, pids, look)
	if ctx.Err() != nil {
		found.cut = "the look at the processes was interrupted"
	}
	found.add(pids, sights)
	found.root = Administers()
	return found
}

// pids lists the processes in rising order, without ourselves.
func (m *Machine) pids() ([]int, error) {
	dir, err := m.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	pids := make([]int, 0, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		ourselves := m.Root == rootFolder() && pid == os.Getpid()
		if err == nil && pid > 0 && !ourselves {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// lookAll looks at the processes side by side and gives a sight of each, in their order.
func (m *Machine) lookAll(ctx context.Context, pids []int, look func(*looker, int) sight) []sight {
	inside := m.insideOf()
	sights := make([]sight, len(pids))
	var next atomic.Int64
	var readers sync.WaitGroup
	for range min(maxReaders, runtime.NumCPU()) {
		readers.Go(func() {
			l := looker{m: m, inside: inside, buffer: make([]byte, 64<<10)}
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(pids) {
					return
				}
				sights[i] = look(&l, pids[i])
			}
		})
	}
	readers.Wait()
	return sights
}

// insideOf names the container that we run in ourselves; empty for none.
func (m *Machine) insideOf() string {
	own, err := m.ReadFile("/proc/self/cgroup", maxCgroup)
	if o := ownerOf(own, ""); err == nil && o.kind == container {
		return o.name
	}
	return ""
}

// looker reads one process after the other into one buffer.
type looker struct {
	m      *Machine
	inside string // see insideOf
	buffer []byte
}

// maps reads the mappings of a process. It is seen where the sight says so.
func (l *looker) maps(pid int) ([]byte, sight) {
	maps, err := l.read(procFile(pid, "maps"))
	partial := errors.Is(err, ErrTooLarge)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESRCH):
		return nil, sight{state: gone}
	case err != nil && !partial:
		return nil, sight{state: hidden}
	case len(maps) == 0:
		return nil, sight{state: gone}
	}
	return maps, sight{state: seen, partial: partial}
}

func (l *looker) look(pid int) sight {
	maps, s := l.maps(pid)
	if s.state != seen {
		return s
	}
	mappings := parseDeleted(maps)
	if exe, ok := l.m.deletedProgram(pid); ok {
		mappings = append(mappings, exe)
	}
	if len(mappings) == 0 {
		return s
	}
	s.owner = l.owner(pid)
	for _, mapped := range mappings {
		if s.owner.kind == container || !l.m.stillThere(mapped) {
			s.files = append(s.files, mapped.path)
		}
	}
	return s
}

func procFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

// read fills the buffer with a file, and makes it larger where it must be. Over maxMaps bytes it gives those, and ErrTooLarge.
func (l *looker) read(name string) ([]byte, error) {
	f, err := l.m.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n := 0
	for {
		if n == len(l.buffer) {
			if n >= maxMaps {
				return l.buffer, ErrTooLarge
			}
			l.buffer = append(l.buffer, make([]byte, n)...)
		}
		k, err := f.Read(l.buffer[n:])
		n += k
		if errors.Is(err, io.EOF) {
			return l.buffer[:n], nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// deletedProgram gives the program of a process where its file was deleted. It is among the mappings as well, unless the program
// has moved its own code into larger pages.
func (m *Machine) deletedProgram(pid int) (mapping, bool) {
	target, err := os.Readlink(m.Path(procFile(pid, "exe")))
	if err != nil {
		return mapping{}, false
	}
	path, ok := strings.CutSuffix(target, deleted)
	if !ok || !ofAPackage(path) {
		return mapping{}, false
	}
	program := mapping{path: path}
	if info, err := m.Stat(procFile(pid, "exe")); err == nil {
		program.inode, _ = inodeOf(info)
	}
	return program, true
}

// stillThere says whether a mapping's file is the one that bears its name now: a name may end in " (deleted)" by itself,
// and an overlay may show a file as deleted that is not. A container's names are not ours, so they cannot be looked up.
func (m *Machine) stillThere(mapped mapping) bool {
	if mapped.inode == 0 {
		return false
	}
	info, err := m.Stat(mapped.path)
	if err != nil {
		return false
	}
	inode, ok := inodeOf(info)
	return ok && inode == mapped.inode
}

// owner says what a process belongs to; a process of nobody's goes by its command.
func (l *looker) owner(pid int) owner {
	if cgroup, err := l.m.ReadFile(procFile(pid, "cgroup"), maxCgroup); err == nil {
		if o := ownerOf(cgroup, l.inside); o.kind != "" {
			return owner{o.kind, fleet.Plain(o.name)}
		}
	}
	if comm := l.m.line(procFile(pid, "comm")); comm != "" {
		return owner{process, comm}
	}
	return owner{process, "process " + strconv.Itoa(pid)}
}
