package advisory

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// parseKEV reads CISA's catalogue (cisa.gov/known-exploited-vulnerabilities-catalog).
func parseKEV(r io.Reader) (*parsed, error) {
	p := newParsed(KEV, string(KEV))
	var catalogue struct {
		DateReleased    time.Time `json:"dateReleased"`
		Count           int       `json:"count"`
		Vulnerabilities []struct {
			ID         string `json:"cveID"`
			Added      string `json:"dateAdded"`
			Due        string `json:"dueDate"`
			Ransomware string `json:"knownRansomwareCampaignUse"`
		} `json:"vulnerabilities"`
	}
	if err := json.NewDecoder(atOnce(r)).Decode(&catalogue); err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	if n := len(catalogue.Vulnerabilities); n == 0 || catalogue.Count != n {
		return nil, refused("the catalogue says that it has %d entries, and has %d", catalogue.Count, n)
	}
	for _, v := range catalogue.Vulnerabilities {
		added, err := time.Parse(time.DateOnly, v.Added)
		if err != nil || !cveID.MatchString(v.ID) {
			return nil, refused("the catalogue's entry %q is not as it should be", fleet.Plain(v.ID))
		}
		due, _ := time.Parse(time.DateOnly, v.Due) // some have none
		value, err := json.Marshal(fleet.Exploited{Added: added, Due: due, Ransomware: strings.EqualFold(v.Ransomware, "known")})
		if err != nil {
			return nil, fmt.Errorf("read the catalogue: %w", err)
		}
		p.once(exploitedKey(v.ID), value)
		p.Records++
	}
	p.AsOf, p.Rows = catalogue.DateReleased.UTC(), p.Records
	return p, nil
}

// parseEPSS reads FIRST's scores (first.org/epss/data_stats): a line about the model, a header, then cve,epss,percentile.
func parseEPSS(r io.Reader) (*parsed, error) {
	p := newParsed(EPSS, string(EPSS))
	lines := bufio.NewScanner(r)
	header := false
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == "":
		case strings.HasPrefix(line, "#"):
			_, date, _ := strings.Cut(line, "score_date:")
			for _, layout := range []string{"2006-01-02T15:04:05-0700", time.RFC3339, time.DateOnly} {
				if t, err := time.Parse(layout, strings.TrimSpace(date)); err == nil {
					p.AsOf = t.UTC()
				}
			}
		case !header:
			if header = strings.HasPrefix(line, "cve,epss,percentile"); !header {
				return nil, refused("it has no header cve,epss,percentile")
			}
		default:
			if err := p.scored(line); err != nil {
				return nil, err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read scores: %w", err)
	}
	if p.Records == 0 {
		return nil, refused("there are no scores in it")
	}
	p.Rows, p.seen = p.Records, nil
	return p, nil
}

// maxScores bounds the scores: there are 350,000 CVEs, and 50,000 more each year.
const maxScores = 2_000_000

func (p *parsed) scored(line string) error {
	fields := strings.Split(line, ",")
	if len(fields) != 3 || !cveID.MatchString(fields[0]) {
		return refused("line %d is no score: %q", p.Records+1, fleet.Plain(line))
	}
	score, err := strconv.ParseFloat(fields[1], 64)
	percentile, err2 := strconv.ParseFloat(fields[2], 64)
	if err := errors.Join(err, err2); err != nil || !isShare(score) || !isShare(percentile) {
		return refused("line %d is no score: %q", p.Records+1, fleet.Plain(line))
	}
	if p.Records++; p.Records > maxScores {
		return refused("it has over %d scores", maxScores)
	}
	p.entries = append(p.entries, entry{probableKey(strings.Clone(fields[0])), probability{score, percentile}.append(nil)})
	return nil
}

func isShare(f float64) bool { return !math.IsNaN(f) && 0 <= f && f <= 1 }

// parseSupport reads a list of releases as distro-info-data has it. Which distribution it is its columns say: Debian's has eol-lts, Ubuntu's eol-server.
func parseSupport(r io.Reader) (*parsed, error) {
	rows := csv.NewReader(atOnce(r))
	rows.FieldsPerRecord = -1
	header, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("read dates of support: %w", err)
	}
	distribution, longer, paid := "debian", "eol-lts", "eol-elts"
	if contains(header, "eol-server") {
		distribution, longer, paid = "ubuntu", "eol-server", "eol-esm"
	}
	p := newParsed(Support, string(Support)+":"+distribution)
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read dates of support: %w", err)
		}
		field := func(name string) string {
			for i, h := range header {
				if h == name && i < len(row) {
					return row[i]
				}
			}
			return ""
		}
		s := support{Codename: fleet.Plain(field("series")), Until: day(field("eol")), Longer: day(field(longer)), Paid: day(field(paid))}
		version, _, _ := strings.Cut(field("version"), " ") // 24.04 LTS
		value, err := json.Marshal(s)
		if err != nil {
			return nil, fmt.Errorf("read dates of support: %w", err)
		}
		if version != "" {
			p.once(supportKey(distribution, version), value)
			p.Records++
		}
	}
	if p.Records == 0 {
		return nil, refused("there are no releases in it")
	}
	p.Rows = p.Records
	return p, nil
}

func day(s string) time.Time {
	t, _ := time.Parse(time.DateOnly, s) // an empty field is no date
	return t
}
