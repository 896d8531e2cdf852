package store

import (
	"errors"
	"testing"
	"time"

	"redflag/internal/access"
)

func TestACodeOfASecondFactorIsGoodOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		u, err := s.NewUser(t.Context(), "anna", access.Viewer, "", noon)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := s.TOTP(t.Context(), u.ID); err != nil || f.On() || f.Secret != "" {
			t.Fatal(f, err)
		}
		if err := errors.Join(s.OfferTOTP(t.Context(), u.ID, "lost"), s.OfferTOTP(t.Context(), u.ID, "kept")); err != nil {
			t.Fatal(err)
		}
		if f, err := s.TOTP(t.Context(), u.ID); err != nil || f.On() || f.Secret != "kept" {
			t.Fatal("before a code was shown:", f, err)
		}
		for _, c := range []struct {
			step int64
			want error
		}{{7, nil}, {7, ErrStep}, {6, ErrStep}, {8, nil}} {
			if err := s.UseTOTP(t.Context(), u.ID, c.step); !errors.Is(err, c.want) {
				t.Errorf("step %d: %v", c.step, err)
			}
		}
		if err := s.OfferTOTP(t.Context(), u.ID, "other"); !errors.Is(err, ErrHasTOTP) {
			t.Error("a factor that is in use is replaced:", err)
		}
		if got, err := s.User(t.Context(), u.ID); err != nil || !got.HasTOTP {
			t.Error(got, err)
		}
		if err := s.DeleteTOTP(t.Context(), u.ID); err != nil {
			t.Error(err)
		}
	})
}

func TestAChallengeIsAnsweredOnceAndInTime(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		name, err := s.NewChallenge(t.Context(), []byte("body"), noon)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.TakeChallenge(t.Context(), name, noon); !errors.Is(err, ErrNoChallenge) {
			t.Error("too late:", err)
		}
		before := noon.Add(-time.Second)
		if body, err := s.TakeChallenge(t.Context(), name, before); err != nil || string(body) != "body" {
			t.Error(string(body), err)
		}
		if _, err := s.TakeChallenge(t.Context(), name, before); !errors.Is(err, ErrNoChallenge) {
			t.Error("twice:", err)
		}
		first, err := s.NewChallenge(t.Context(), []byte("oldest"), noon)
		if err != nil {
			t.Fatal(err)
		}
		for range maxChallenges {
			if _, err := s.NewChallenge(t.Context(), nil, noon.Add(time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.TakeChallenge(t.Context(), first, before); !errors.Is(err, ErrNoChallenge) {
			t.Error("more than are kept:", err)
		}
	})
}

func TestPasskeysGoWithTheirPerson(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		for _, name := range []string{"anna", "bert"} {
			u, err := s.NewUser(t.Context(), name, access.Admin, "", noon)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.NewPasskey(t.Context(), Passkey{ID: "of " + name, Name: "phone", User: u.ID, Credential: []byte("{}")}, noon); err != nil {
				t.Fatal(err)
			}
			if err := s.NewPasskey(t.Context(), Passkey{ID: "of anna", Name: "copy", User: u.ID}, noon); !errors.Is(err, ErrTaken) {
				t.Error("one key of two people:", err)
			}
		}
		anna, _, _ := s.UserByName(t.Context(), "anna")
		bert, _, _ := s.UserByName(t.Context(), "bert")
		if err := s.DeletePasskey(t.Context(), anna.ID, "of bert"); !errors.Is(err, ErrNoPasskey) {
			t.Error("another's is removed:", err)
		}
		if err := s.UsePasskey(t.Context(), "of bert", []byte(`{"n":1}`), noon); err != nil {
			t.Error(err)
		}
		if list, err := s.Passkeys(t.Context(), bert.ID); err != nil || len(list) != 1 || string(list[0].Credential) != `{"n":1}` || !list[0].UsedAt.Equal(noon) {
			t.Error(list, err)
		}
		if err := s.DeleteUser(t.Context(), bert.ID); err != nil {
			t.Fatal(err)
		}
		if list, err := s.Passkeys(t.Context(), bert.ID); err != nil || len(list) != 0 {
			t.Error("the keys of one who is gone:", list, err)
		}
	})
}
