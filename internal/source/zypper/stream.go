package zypper

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/source/rpm"
)

// stream is what zypper says with --xmlout (its xmlout.rnc).
type stream struct {
	XMLName  xml.Name `xml:"stream"`
	Messages []struct {
		Type string `xml:"type,attr"`
		Text string `xml:",chardata"`
	} `xml:"message"`
	Prompts []struct {
		Description string `xml:"description"`
		Text        string `xml:"text"`
	} `xml:"prompt"`
	Updates *struct {
		List []xmlUpdate `xml:"update-list>update"`
	} `xml:"update-status"`
	Summary *xmlSummary `xml:"install-summary"`
	Locks   []struct {
		Name string `xml:"name"`
	} `xml:"locks>lock"`
	Repositories []struct {
		Alias   string `xml:"alias,attr"`
		Enabled string `xml:"enabled,attr"`
	} `xml:"repo-list>repo"`
	Found []struct {
		Name       string `xml:"name,attr"`
		Kind       string `xml:"kind,attr"`
		Edition    string `xml:"edition,attr"`
		Arch       string `xml:"arch,attr"`
		Repository string `xml:"repository,attr"`
	} `xml:"search-result>solvable-list>solvable"`
}

type xmlUpdate struct {
	Kind    string `xml:"kind,attr"`
	Name    string `xml:"name,attr"`
	Edition string `xml:"edition,attr"`
	Arch    string `xml:"arch,attr"`
	Summary string `xml:"summary"`
	Source  struct {
		Alias string `xml:"alias,attr"`
	} `xml:"source"`
}

type xmlSummary struct {
	Download string `xml:"download-size,attr"`
	Disk     string `xml:"space-usage-diff,attr"`
	Reboot   string `xml:"need-reboot,attr"`
	Groups   []struct {
		XMLName   xml.Name
		Solvables []struct {
			Type       string `xml:"type,attr"`
			Name       string `xml:"name,attr"`
			Edition    string `xml:"edition,attr"`
			Arch       string `xml:"arch,attr"`
			OldEdition string `xml:"edition-old,attr"`
			OldArch    string `xml:"arch-old,attr"`
			Repository string `xml:"repository,attr"`
		} `xml:"solvable"`
	} `xml:",any"`
}

// parseStream reads what zypper said. What is no stream is an error.
func parseStream(data []byte) (stream, error) {
	var s stream
	clean := bytes.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' && r != '\r' {
			return ' ' // descriptions of packages may have what XML must not
		}
		return r
	}, data)
	if len(bytes.TrimSpace(clean)) == 0 {
		return s, errors.New("it says nothing")
	}
	if err := xml.Unmarshal(clean, &s); err != nil {
		return s, fmt.Errorf("read its XML: %w", err)
	}
	return s, nil
}

// complaint gives zypper's errors and the problems that its solver has, as a sentence.
func (s stream) complaint() string {
	var list []string
	for _, m := range s.Messages {
		if m.Type == "error" || strings.Contains(m.Text, "you must agree to terms of") {
			list = append(list, oneLine(m.Text))
		}
	}
	for _, p := range s.Prompts {
		problem, _, _ := strings.Cut(p.Description, "\n Solution 1")
		if strings.Contains(problem, "Problem:") {
			list = append(list, oneLine(problem))
		}
	}
	return strings.Join(list, "; ")
}

func oneLine(text string) string { return fleet.Plain(strings.Join(strings.Fields(text), " ")) }

// refusals are zypper's complaints, in the C locale. The first that fits explains it.
var refusals = []rpm.Reason{
	{Pattern: regexp.MustCompile(`locked by the application with pid (\d+) \(([^)]*)\)`), Because: "$2 (process $1) is at work on the packages",
		Remedy: "wait until it has ended, and try again"},
	{Pattern: regexp.MustCompile(`No provider of '([^']*)' found`), Because: "$1 is nowhere: it is not on offer any more, and it was not kept here",
		Remedy: "plan again; a repository that still has it would do"},
	{Pattern: regexp.MustCompile(`Root privileges are required`), Because: "zypper lets only root ask this", Remedy: "sudo redflag scan"},
	{Pattern: regexp.MustCompile(`In order to install '([^']*)', you must agree to terms of`), Because: "$1 asks to agree to a licence, which is for a person to do",
		Remedy: "read it and agree to it: zypper install $1"},
	{Pattern: regexp.MustCompile(`need for license confirmation`), Because: "a package asks to agree to a licence, which is for a person to do",
		Remedy: "see which, and agree to it: zypper update"},
	{Pattern: regexp.MustCompile(`(?s)(Problem: .*)`), Because: "zypper finds no solution: $1", Remedy: "see what `zypper update --dry-run` says"},
}

// offered gives the updates on offer. zypper names a kernel's oldest version as the one that is there; what counts is the newest.
func (s stream) offered(newest map[string]rpm.Package) []fleet.Update {
	list := []fleet.Update{}
	for _, u := range s.Updates.List {
		p := rpm.Package{Name: fleet.Plain(u.Name), EVR: fleet.Plain(u.Edition), Arch: fleet.Plain(u.Arch)}
		if u.Kind != "package" {
			continue
		}
		list = append(list, fleet.Update{
			Source: "zypper", Name: p.Name, Arch: p.Arch, From: rpm.Before(newest, p), To: p.EVR, Origin: fleet.Plain(u.Source.Alias), Summary: fleet.Plain(u.Summary),
		})
	}
	return list
}

// transaction gives what goes and what comes.
func (s stream) transaction() (out, in []rpm.Package) {
	if s.Summary == nil {
		return nil, nil
	}
	for _, g := range s.Summary.Groups {
		action, is := strings.CutPrefix(g.XMLName.Local, "to-")
		if !is || action == "reinstall" {
			continue
		}
		for _, one := range g.Solvables {
			if one.Type != "package" {
				continue // a patch or a pattern is a name for packages that stand here too
			}
			p := rpm.Package{Name: fleet.Plain(one.Name), EVR: fleet.Plain(one.Edition), Arch: fleet.Plain(one.Arch)}
			if action == "remove" {
				out = append(out, p)
				continue
			}
			in = append(in, p)
			if one.OldEdition != "" {
				old := rpm.Package{Name: p.Name, EVR: fleet.Plain(one.OldEdition), Arch: p.Arch}
				if one.OldArch != "" {
					old.Arch = fleet.Plain(one.OldArch)
				}
				out = append(out, old)
			}
		}
	}
	return out, in
}

// changes gives the transaction as changes of what is installed.
func (s stream) changes(installed []rpm.Package) []fleet.Change {
	out, in := s.transaction()
	return rpm.Differences(installed, rpm.After(installed, out, in))
}

// origin says which repository a package comes from, where zypper tells.
func (s stream) origin(c fleet.Change) string {
	for _, g := range s.Summary.Groups {
		for _, one := range g.Solvables {
			if one.Name == c.Name && one.Arch == c.Arch && one.Edition == c.To {
				return fleet.Plain(one.Repository)
			}
		}
	}
	return ""
}

// number reads a number of bytes; 0 where it is none.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
