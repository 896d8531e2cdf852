package fleet

// After gives what is known now: this finding, and where it is uncertain, what the one before it had that this one does not
// mention. A finding that is OK replaces everything. What is remembered carries StaleSince: nothing that was on offer
// disappears because a check failed.
func (f Finding) After(before Finding) Finding {
	if f.State == OK {
		return f
	}
	seen := map[updateKey]bool{}
	for _, u := range f.Updates {
		seen[u.key()] = true
	}
	updates := append([]Update{}, f.Updates...)
	for _, u := range before.Updates {
		if seen[u.key()] || f.rulesOut(u) {
			continue
		}
		if u.StaleSince.IsZero() {
			u.StaleSince = f.ScannedAt
		}
		updates = append(updates, u)
	}
	f.Updates = updates
	return f
}

// updateKey is what makes an update the same one in two findings of a source.
type updateKey struct {
	name, arch, platform string
	kind                 Kind
	level                Level
}

func (u Update) key() updateKey {
	k := updateKey{name: u.Name, arch: u.Arch}
	if u.ImageUpdate != nil {
		k.platform, k.kind, k.level = u.Platform, u.Kind, u.Level
	}
	return k
}

// rulesOut says whether an uncertain finding is certain all the same that an update is no longer on offer. A finding with checks
// has one for every image that runs: an image without one is gone from the host. Of an image whose checks all have an answer,
// the content is known; whether its tag has newer versions is known where the check does not say otherwise.
func (f Finding) rulesOut(u Update) bool {
	if u.ImageUpdate == nil || len(f.Checks) == 0 {
		return false
	}
	for _, c := range f.Checks {
		if c.Name == u.Name && (c.Answer == CannotAnswer || u.Kind == Version && c.VersionsUnknown != "") {
			return false
		}
	}
	return true
}

// After gives what is known of a host after this scan: its findings laid over those of the scan before it, source by
// source. A source that this scan did not look at keeps its finding.
func (s Scan) After(before Scan) Scan {
	findings := make([]Finding, 0, len(s.Findings))
	looked := map[string]bool{}
	old := map[string]Finding{}
	for _, f := range before.Findings {
		old[f.Source] = f
	}
	for _, f := range s.Findings {
		looked[f.Source] = true
		findings = append(findings, f.After(old[f.Source]))
	}
	for _, f := range before.Findings {
		if !looked[f.Source] {
			findings = append(findings, f)
		}
	}
	s.Findings = findings
	return s
}
