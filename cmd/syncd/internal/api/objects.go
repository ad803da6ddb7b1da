package api

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/objects"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/sync/node"
)

// objects lists the objects of a space, a page at a time.
func (s *server) objects(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := pageSize(q.Get("limit"))
	if err != nil {
		return err
	}
	after, err := parseCursor(q.Get("after"))
	if err != nil {
		return err
	}
	space := r.PathValue("space")
	page := v1.Objects{Space: space, Objects: []node.Object{}}
	err = s.Node.Space(space).View(r.Context(), func(v *node.View) error {
		for o, err := range v.ObjectsAfter(q.Get("prefix"), after) {
			switch {
			case err != nil:
				return err
			case len(page.Objects) == limit:
				page.Next = cursor(page.Objects[limit-1])
				return nil
			}
			page.Objects = append(page.Objects, o)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, page)
}

func pageSize(text string) (int, error) {
	if text == "" {
		return v1.MaxPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > v1.MaxPage {
		return 0, v1.NewProblem(v1.BadRequest, fmt.Sprintf("the limit %q is not a number from 1 to %d", text, v1.MaxPage), "")
	}
	return n, nil
}

// cursor names an object in the parameter after of the next page.
func cursor(o node.Object) string {
	b, _ := json.Marshal(o) // two strings
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(text string) (o node.Object, err error) {
	if text == "" {
		return o, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	if err != nil {
		return o, v1.NewProblem(v1.BadRequest, "the parameter after is not one that a page has named next", "")
	}
	return o, nil
}

// object answers with the value of one object.
func (s *server) object(w http.ResponseWriter, r *http.Request) error {
	space, o := r.PathValue("space"), node.Object{Key: r.PathValue("key"), Kind: r.PathValue("type")}
	if err := objects.CheckType(o.Kind); err != nil {
		return err
	}
	var found *v1.Object
	var others []string
	err := s.Node.Space(space).View(r.Context(), func(v *node.View) (err error) {
		if found, err = objects.Read(v, space, o); found == nil && err == nil {
			others, err = kindsOf(v, o.Key)
		}
		return err
	})
	if err != nil {
		return err
	}
	if found == nil {
		return notThere(space, o, others)
	}
	return reply(w, http.StatusOK, found)
}

// kindsOf returns the types of the objects under one key.
func kindsOf(v *node.View, key string) (kinds []string, err error) {
	for o, err := range v.Objects(key) {
		if err != nil || o.Key != key {
			return kinds, err
		}
		kinds = append(kinds, o.Kind)
	}
	return kinds, nil
}

func notThere(space string, o node.Object, others []string) error {
	hint := "nothing was written to it, or all of it was removed"
	if len(others) > 0 {
		hint = "under this key there is an object of type " + strings.Join(others, " and one of type ")
	}
	return v1.NewProblem(v1.ObjectNotFound, fmt.Sprintf("the space %q holds no %s %q", space, o.Kind, o.Key), hint)
}

// transact does several operations as one change.
func (s *server) transact(w http.ResponseWriter, r *http.Request) error {
	var body v1.Transaction
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	if len(body.Ops) == 0 {
		return v1.NewProblem(v1.BadOp, "the transaction has no operations", `send {"ops": [{"op": "add", "key": "tags", "value": "home"}]}`)
	}
	return s.write(w, r, body.Ops)
}

// operate does one operation on the object that the path names.
func (s *server) operate(w http.ResponseWriter, r *http.Request) error {
	op := v1.Op{}
	if err := readBody(w, r, &op); err != nil {
		return err
	}
	if op.Key != "" || op.Type != "" {
		return v1.NewProblem(v1.BadRequest, "the key and the type of a single operation stand in its path", `send {"op": "add", "value": "home"}`)
	}
	op.Key, op.Type = r.PathValue("key"), r.PathValue("type")
	return s.write(w, r, []v1.Op{op})
}

// write does operations in one transaction and answers when it is durable.
func (s *server) write(w http.ResponseWriter, r *http.Request, ops []v1.Op) error {
	if err := objects.Check(ops); err != nil {
		return err
	}
	space := s.Node.Space(r.PathValue("space"))
	out := v1.Written{Space: space.Name()}
	err := space.Update(r.Context(), func(tx *node.Tx) error {
		if err := objects.Apply(tx, ops); err != nil {
			return err
		}
		if out.Changed = tx.Changed(); out.Changed {
			out.Change = tx.Dot().String()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, out)
}
