package page

import (
	"errors"
	"net/http"
	"strings"
)

// PathSignIn is where people sign in; with ?link=SECRET, at the push of a button.
const PathSignIn = "/sign-in"

// signInForm is what the form shows.
type signInForm struct {
	Link, Next, Name, Trouble string
}

// form shows the form. It uses up no link: a chat program that looks at a link must not sign in with it.
func (s site) form(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.show(w, http.StatusOK, "sign-in", signInForm{Link: q.Get("link"), Next: within(q.Get("next"))})
}

// refusal is an error that says what to answer.
type refusal interface {
	error
	GetStatus() int
}

const maxForm = 16 << 10

func (s site) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		s.show(w, http.StatusBadRequest, "trouble", trouble{"This did not work", "The form did not arrive whole.", PathSignIn})
		return
	}
	f := signInForm{Link: r.PostForm.Get("link"), Next: within(r.PostForm.Get("next")), Name: r.PostForm.Get("name")}
	_, cookie, err := s.API.SignIn(r.Context(), r, f.Name, r.PostForm.Get("password"), f.Link)
	if err != nil {
		status := http.StatusInternalServerError
		f.Trouble = "The server could not do it; its log says why."
		if refused := refusal(nil); errors.As(err, &refused) {
			status, f.Trouble = refused.GetStatus(), sentence(refused.Error())
		} else {
			s.Log.Error("nobody can sign in", "err", err)
		}
		f.Link = "" // it was used, or it is wrong
		s.show(w, status, "sign-in", f)
		return
	}
	http.SetCookie(w, cookie)
	http.Redirect(w, r, f.Next, http.StatusSeeOther)
}

// within keeps a redirect on this server.
func within(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\t\r\n") {
		return "/"
	}
	return next
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }
