package store

import (
	"context"
	"encoding/json"
	"fmt"

	"redflag/internal/fleet"
)

// Image is an image on one platform, over all hosts of the fleet.
type Image struct {
	Name     string `json:"name"`
	Platform string `json:"platform"`
	// Answers is on how many hosts each answer was given for it.
	Answers map[fleet.Answer]int `json:"answers"`
	Hosts   int                  `json:"hosts"`
}

// ImageFilter chooses images; what is empty chooses all.
type ImageFilter struct {
	Text   string // in the name
	Answer fleet.Answer
}

// answersOfOne is how many answers there are: so many rows an image can have.
const answersOfOne = 6

// Images gives a page of the fleet's images by name, and the cursor of the next.
func (s *Store) Images(ctx context.Context, f ImageFilter, p Page) (images []Image, next string, err error) {
	key, err := p.key("ss")
	if err != nil {
		return nil, "", err
	}
	l := &list{}
	l.text("name", f.Text)
	if f.Answer != "" {
		l.add("answer = ?", string(f.Answer))
	}
	if key != nil {
		l.add("(name, platform) > (?, ?)", key...)
	}
	query := fmt.Sprintf(`SELECT name, platform, answer, hosts FROM images%s ORDER BY name, platform, answer LIMIT %d`, l.where(), (p.limit()+1)*answersOfOne)
	if err := s.reader().all(ctx, func(scan func(...any) error) error {
		var i Image
		var answer fleet.Answer
		if err := scan(&i.Name, &i.Platform, &answer, &i.Hosts); err != nil {
			return err
		}
		if n := len(images); n == 0 || images[n-1].Name != i.Name || images[n-1].Platform != i.Platform {
			images = append(images, Image{i.Name, i.Platform, map[fleet.Answer]int{}, 0})
		}
		last := &images[len(images)-1]
		last.Answers[answer] += i.Hosts
		last.Hosts += i.Hosts
		return nil
	}, query, l.args...); err != nil {
		return nil, "", fmt.Errorf("list images: %w", err)
	}
	if len(images) > p.limit() {
		images = images[:p.limit()]
		last := images[len(images)-1]
		next = cursor(last.Name, last.Platform)
	}
	if images == nil {
		images = []Image{}
	}
	return images, next, nil
}

// ImageOnHost is what became of an image on one host.
type ImageOnHost struct {
	Host     fleet.HostID `json:"host"`
	HostName string       `json:"host_name"`
	Source   string       `json:"source"`
	Check    fleet.Check  `json:"check"`
}

// ImageHosts gives a page of the hosts on which an image runs.
func (s *Store) ImageHosts(ctx context.Context, name string, p Page) (on []ImageOnHost, next string, err error) {
	key, err := p.key("nss")
	if err != nil {
		return nil, "", err
	}
	l := &list{}
	l.add("c.name = ?", name)
	rows := []ImageOnHost{}
	if err := s.reader().all(ctx, func(scan func(...any) error) error {
		var i ImageOnHost
		var body string
		if err := scan(&i.Host, &i.HostName, &i.Source, &body); err != nil {
			return err
		}
		err := json.Unmarshal([]byte(body), &i.Check)
		rows = append(rows, i)
		return err
	}, `SELECT c.host_id, h.name, c.source, c.body FROM checks AS c JOIN hosts AS h ON h.id = c.host_id`+l.page(p, key, false, "c.host_id", "c.source", "c.platform"), l.args...); err != nil {
		return nil, "", fmt.Errorf("list the hosts of an image: %w", err)
	}
	on, more := cut(p, rows)
	if more {
		last := on[len(on)-1]
		next = cursor(int64(last.Host), last.Source, last.Check.Platform)
	}
	return on, next, nil
}
