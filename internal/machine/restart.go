package machine

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"redflag/internal/fleet"
)

// inUse is what a scan of all processes found: who runs files that were replaced.
type inUse struct {
	services []fleet.Service
	// seen and hidden count the processes that could be read and those that could not.
	seen, hidden int
	// root: it was root who looked.
	root bool
	// cut says why the scan did not reach every process; empty when it did.
	cut string
	// initSeen: process 1 could be read. initFiles are the replaced files that it runs.
	initSeen  bool
	initFiles []string
}

// add counts the sights and joins those of one owner.
func (u *inUse) add(pids []int, sights []sight) {
	services := map[owner]*fleet.Service{}
	for i, s := range sights {
		switch s.state {
		case gone:
			continue
		case hidden:
			u.hidden++
			continue
		}
		u.seen++
		if s.partial {
			u.cut = fmt.Sprintf("process %d has more memory mappings than are read", pids[i])
		}
		if pids[i] == 1 {
			u.initSeen, u.initFiles = true, tidy(s.files)
		}
		if len(s.files) == 0 {
			continue
		}
		service := services[s.owner]
		if service == nil {
			service = &fleet.Service{Name: s.owner.name, Kind: s.owner.kind}
			services[s.owner] = service
		}
		service.PIDs = append(service.PIDs, pids[i])
		service.Files = tidy(append(service.Files, s.files...))
		if service.StartedAt.IsZero() || !s.started.IsZero() && s.started.Before(service.StartedAt) {
			service.StartedAt = s.started
		}
	}
	for _, s := range services {
		u.services = append(u.services, *s)
	}
	slices.SortFunc(u.services, func(a, b fleet.Service) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind)) })
}

// tidy sorts files, names each once and makes them safe to show.
func tidy(files []string) []string {
	list := make([]string, 0, len(files))
	for _, f := range files {
		list = append(list, fleet.Plain(f))
	}
	slices.Sort(list)
	list = slices.Compact(list)
	return list[:min(len(list), maxFiles)]
}

// restart turns what was found into one of three answers. What was found is true also where not everything could be seen.
func (u inUse) restart() fleet.Restart {
	r := fleet.Restart{Needed: fleet.NotNeeded, Because: u.cut, Services: append([]fleet.Service{}, u.services...)}
	if u.hidden > 0 && u.cut == "" {
		r.Because = u.whyHidden()
	}
	switch {
	case len(r.Services) > 0:
		r.Needed = fleet.Needed
	case r.Because != "":
		r.Needed = fleet.NeedUnknown
	}
	return r
}

func (u inUse) whyHidden() string {
	if u.root {
		return fmt.Sprintf("%d of %d processes cannot be read, not even by root: a container or a security module keeps them apart", u.hidden, u.seen+u.hidden)
	}
	return fmt.Sprintf("%d of %d processes belong to other users: run as root to see them", u.hidden, u.seen+u.hidden)
}

// hint is what would help to see more.
func (u inUse) hint() string {
	if u.root {
		return ""
	}
	return ": run as root"
}

// rebootReasons gives the reasons for a reboot among what was found: process 1, and the message bus on which everything else
// hangs, are not restarted on a running system. What they run is in the words of the caller.
func (u inUse) rebootReasons(runs string) []string {
	var reasons []string
	if len(u.initFiles) > 0 {
		reasons = append(reasons, "process 1 "+runs+": "+baseNames(u.initFiles))
	}
	for _, s := range u.services {
		if s.Kind == unit && (s.Name == "dbus.service" || s.Name == "dbus-broker.service") {
			reasons = append(reasons, s.Name+", which only a reboot restarts safely, "+runs+": "+baseNames(s.Files))
		}
	}
	return reasons
}

func baseNames(files []string) string {
	names := make([]string, 0, len(files))
	for _, f := range files {
		names = append(names, path.Base(f))
	}
	return enumerate(names)
}
