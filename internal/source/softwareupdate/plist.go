package softwareupdate

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// maxDepth bounds how deep a property list goes: Apple's go four levels deep.
const maxDepth = 16

var errPlist = errors.New("it is no property list")

// parsePlist reads a property list in its XML form (plist(5)): dictionaries, arrays, texts, dates; all else is text.
func parsePlist(data []byte) (any, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	for {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errPlist, err)
		}
		if start, ok := t.(xml.StartElement); ok && start.Name.Local != "plist" {
			return element(d, start, 0)
		}
	}
}

func element(d *xml.Decoder, start xml.StartElement, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: it is too deep", errPlist)
	}
	switch start.Name.Local {
	case "dict", "array":
		return children(d, start, depth)
	}
	var text string
	if err := d.DecodeElement(&text, &start); err != nil {
		return nil, fmt.Errorf("%w: %w", errPlist, err)
	}
	switch start.Name.Local {
	case "date":
		return time.Parse(time.RFC3339, text)
	case "true", "false":
		return start.Name.Local == "true", nil
	}
	return text, nil
}

// children reads the elements of a dictionary, whose keys and values take turns, or of an array.
func children(d *xml.Decoder, parent xml.StartElement, depth int) (any, error) {
	dict, list, key := map[string]any{}, []any{}, ""
	for {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errPlist, err)
		}
		switch t := t.(type) {
		case xml.EndElement:
			if parent.Name.Local == "array" {
				return list, nil
			}
			return dict, nil
		case xml.StartElement:
			if t.Name.Local == "key" {
				if err := d.DecodeElement(&key, &t); err != nil {
					return nil, fmt.Errorf("%w: %w", errPlist, err)
				}
				continue
			}
			v, err := element(d, t, depth+1)
			if err != nil {
				return nil, err
			}
			list, dict[key] = append(list, v), v
		}
	}
}

// property reads a property list of the machine, in whichever form it is.
func property(ctx context.Context, m *machine.Machine, file string) (any, error) {
	r, err := m.Run(ctx, machine.Command{Name: "plutil", Args: []string{"-convert", "xml1", "-o", "-", file}})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if r.Code != 0 {
		line, _, _ := strings.Cut(strings.TrimSpace(string(r.Stdout)+string(r.Stderr)), "\n")
		return nil, &fleet.Unknown{Because: fmt.Sprintf("%s cannot be read: %s", file, fleet.Plain(line)), Remedy: "see what `plutil -p " + file + "` says"}
	}
	v, err := parsePlist(r.Stdout)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return v, nil
}

// preferences are what macOS has noted of its own checks.
type preferences struct {
	asked       time.Time
	recommended []string
}

const preferencesFile = "/Library/Preferences/com.apple.SoftwareUpdate.plist"

func readPreferences(ctx context.Context, m *machine.Machine) (preferences, error) {
	v, err := property(ctx, m, preferencesFile)
	if err != nil {
		return preferences{}, err
	}
	return preferencesOf(v)
}

func preferencesOf(v any) (preferences, error) {
	var p preferences
	dict, ok := v.(map[string]any)
	if !ok {
		return p, fmt.Errorf("read %s: %w", preferencesFile, errPlist)
	}
	for _, key := range []string{"LastSuccessfulDate", "LastFullSuccessfulDate", "LastBackgroundSuccessfulDate"} {
		if at, ok := dict[key].(time.Time); ok && at.After(p.asked) {
			p.asked = at.UTC()
		}
	}
	list, _ := dict["RecommendedUpdates"].([]any)
	for _, e := range list {
		if one, ok := e.(map[string]any); ok {
			if name, ok := one["Display Name"].(string); ok && fleet.Plain(name) != "" {
				p.recommended = append(p.recommended, fleet.Plain(name))
			}
		}
	}
	return p, nil
}

// installed is an entry of the history of installations.
type installed struct {
	Name    string    `json:"name"`
	Version string    `json:"version"`
	At      time.Time `json:"at"`
}

// history is what Apple's software update has installed, in the order of time.
type history []installed

const historyFile = "/Library/Receipts/InstallHistory.plist"

func readHistory(ctx context.Context, m *machine.Machine) (history, error) {
	if _, err := m.Stat(historyFile); errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing was installed since the system was
	}
	v, err := property(ctx, m, historyFile)
	if err != nil {
		return nil, err
	}
	return historyOf(v)
}

func historyOf(v any) (history, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("read %s: %w", historyFile, errPlist)
	}
	var h history
	for _, e := range list {
		one, ok := e.(map[string]any)
		if !ok {
			continue
		}
		name, _ := one["displayName"].(string)
		version, _ := one["displayVersion"].(string)
		by, _ := one["processName"].(string)
		at, _ := one["date"].(time.Time)
		if name != "" && (by == "softwareupdated" || by == "Software Update" || by == "softwareupdate") {
			h = append(h, installed{name, strings.TrimSpace(version), at})
		}
	}
	slices.SortStableFunc(h, func(a, b installed) int { return a.At.Compare(b.At) })
	return h, nil
}

// names gives each that was installed, once, sorted.
func (h history) names() []string {
	var list []string
	for _, e := range h {
		list = append(list, e.Name)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// version gives what was installed last of a name; empty where it is not in the history.
func (h history) version(name string) string {
	for _, e := range slices.Backward(h) {
		if e.Name == name {
			return e.Version
		}
	}
	return ""
}
