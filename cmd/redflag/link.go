package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"redflag/internal/access"
	"redflag/internal/page"
	"redflag/internal/serve"
	"redflag/internal/store"
)

// linkLife is how long a link to sign in with waits to be used.
const linkLife = time.Hour

// linkFor makes a link that signs a user in once.
func linkFor(ctx context.Context, s *store.Store, address string, u store.User) (string, error) {
	now := time.Now()
	secret, err := s.NewLink(ctx, u.ID, now, now.Add(linkLife))
	return address + page.PathSignIn + "?" + url.Values{"link": {secret}}.Encode(), err
}

// firstAdmin is the name of the administrator that a server makes where there are no users.
const firstAdmin = "admin"

// firstLink makes the first administrator of a fleet that has no users, and a link for him. It gives none where there are users.
func firstLink(ctx context.Context, running *serve.Fleet) (string, error) {
	users, err := running.Store.Users(ctx)
	if err != nil || len(users) > 0 {
		return "", err
	}
	u, err := running.Store.NewUser(ctx, firstAdmin, access.Admin, "", time.Now())
	if errors.Is(err, store.ErrTaken) {
		return "", nil // another server on the same database was faster
	}
	if err != nil {
		return "", err
	}
	return linkFor(ctx, running.Store, running.URL, u)
}

// ownerLink makes a link for an administrator: who starts `redflag up` has the database in his hands anyway.
func ownerLink(ctx context.Context, running *serve.Fleet) (string, error) {
	link, err := firstLink(ctx, running)
	if err != nil || link != "" {
		return link, err
	}
	users, err := running.Store.Users(ctx)
	if err != nil {
		return "", err
	}
	for _, u := range users {
		if u.Role == access.Admin {
			return linkFor(ctx, running.Store, running.URL, u)
		}
	}
	return "", errors.New("there is no administrator: make one with `redflag user create NAME --role admin`")
}

// tellLink says how to sign in.
func (f *fleet) tellLink(link string) {
	fmt.Fprintf(f.Stdout(), "Sign in, once and within the hour:\n\n  %s\n\n", link)
}
