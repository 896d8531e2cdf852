package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// Labels by which a container says how it is to be made anew.
const (
	labelPrefix      = "redflag."
	labelUpdate      = "redflag.update"       // off: it is left alone
	labelPin         = "redflag.pin"          // true: only who names it updates it
	labelOrder       = "redflag.order"        // a number: those with a smaller one come first; 0 where there is none
	labelStopTimeout = "redflag.stop-timeout" // how long it may take to stop: 30s
	labelPre         = "redflag.pre"          // a command in the old container, before that is stopped
	labelPost        = "redflag.post"         // a command in the new one, once it runs
	labelKeep        = "redflag.keep"         // how many of its old images are kept
)

// others are labels of other programs that say that a container is not to be updated, each with the value that says so.
var others = map[string]string{
	"com.centurylinklabs.watchtower.enable":       "false",
	"com.centurylinklabs.watchtower.monitor-only": "true",
	"wud.watch": "false",
}

const (
	// keepImages is how many old images of a container are kept where it does not say: the one to go back to, and the one before.
	keepImages = 2
	// maxKeep bounds what it may say: disks fill.
	maxKeep = 20
	// maxStop is how long a container may take to stop: it must end before an engine's step does (see slow).
	maxStop = 8 * time.Minute
	// maxOrder bounds the order's number.
	maxOrder = 1_000_000
)

// steering is what a container's labels say.
type steering struct {
	off, pinned bool
	order       int
	stop        *int // in seconds
	pre, post   []string
	keep        int
}

// steer reads a container's labels. One that cannot be understood is an error: a guess might stop what somebody wanted to protect.
func steer(labels map[string]string) (steering, error) {
	s := steering{keep: keepImages}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if !strings.HasPrefix(name, labelPrefix) {
			continue
		}
		if err := s.read(name, labels[name]); err != nil {
			problems = append(problems, fmt.Errorf("its label %s says %q, which is %w", fleet.Plain(name), fleet.Plain(labels[name]), err))
		}
	}
	return s, errors.Join(problems...)
}

func (s *steering) read(name, value string) (err error) {
	switch name {
	case labelUpdate:
		on, err := onOff(value)
		s.off = !on
		return err
	case labelPin:
		s.pinned, err = onOff(value)
	case labelOrder:
		s.order, err = within(value, -maxOrder, maxOrder)
	case labelKeep:
		s.keep, err = within(value, 0, maxKeep)
	case labelStopTimeout:
		s.stop, err = seconds(value)
	case labelPre:
		s.pre, err = commandOf(value)
	case labelPost:
		s.post, err = commandOf(value)
	}
	return err // any other label of that beginning is somebody else's
}

func onOff(value string) (bool, error) {
	switch strings.ToLower(value) {
	case "on", "true", "yes", "1":
		return true, nil
	case "off", "false", "no", "0":
		return false, nil
	}
	return false, errors.New("neither on nor off")
}

func within(value string, least, most int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("no number from %d to %d", least, most)
	}
	return n, nil
}

// seconds reads 30s, 2m or 30.
func seconds(value string) (*int, error) {
	d, err := time.ParseDuration(value)
	if n, errNumber := strconv.Atoi(value); errNumber == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < 0 || d > maxStop {
		return nil, fmt.Errorf("no time from 0s to %s", maxStop)
	}
	n := int((d + time.Second - 1) / time.Second)
	return &n, nil
}

// commandOf reads a command as a Dockerfile's CMD has it: a JSON list of words, or a line for the container's shell.
func commandOf(value string) ([]string, error) {
	value = strings.TrimSpace(value)
	if !strings.HasPrefix(value, "[") {
		if value == "" {
			return nil, errors.New("no command")
		}
		return []string{"/bin/sh", "-c", value}, nil
	}
	var list []string
	if err := json.Unmarshal([]byte(value), &list); err != nil || len(list) == 0 || list[0] == "" {
		return nil, errors.New("no list of words")
	}
	return list, nil
}

// leftAlone says which label of a container keeps it as it is; empty where none does. Named: a person has asked for it by its name.
func leftAlone(labels map[string]string, named bool) string {
	s, err := steer(labels)
	switch {
	case err != nil:
		return err.Error()
	case s.off:
		return "its label " + labelUpdate + " says " + fleet.Plain(labels[labelUpdate])
	case s.pinned && !named:
		return "its label " + labelPin + " keeps it at its image, unless it is named"
	}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		if strings.EqualFold(labels[name], others[name]) {
			return "its label " + name + " says " + others[name]
		}
	}
	return ""
}
