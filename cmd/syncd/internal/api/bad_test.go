package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
)

// request sends a request and returns the problem that it is answered with.
func (d *device) request(t *testing.T, method, path, body string, header http.Header) *v1.Problem {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Host = header.Get("Host")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var p v1.Problem
	if err := json.Unmarshal(b, &p); err != nil || resp.Header.Get("Content-Type") != v1.ProblemType {
		t.Fatalf("%s %s: %s %v %s, want a problem", method, path, resp.Status, err, b)
	}
	if p.Status != resp.StatusCode {
		t.Errorf("%s %s: status %d says %d", method, path, resp.StatusCode, p.Status)
	}
	if p.Title == "" || p.Detail == "" {
		t.Errorf("%s %s: problem %+v without title or detail", method, path, p)
	}
	return &p
}

// expect sends a bad request and wants the problem, and the space as it was.
func (d *device) expect(t *testing.T, method, path, body, code, says string, header http.Header) {
	t.Helper()
	before := d.node.Space("s").Summary()
	p := d.request(t, method, path, body, header)
	if text := p.Detail + " " + p.Hint; p.Code != code || !strings.Contains(text, says) {
		t.Errorf("%s %s %.80s\n got %s: %s\nwant %s: %s", method, path, body, p.Code, text, code, says)
	}
	if after := d.node.Space("s").Summary(); after != before {
		t.Errorf("%s %s %.80s changed the space: %+v, before %+v", method, path, body, after, before)
	}
}

func TestBadOperations(t *testing.T) {
	d := serve(t, node.Config{MaxChange: crdtsync.MaxWhole})
	d.do(t, "s", v1.Op{Op: "add", Type: "twopset", Key: "gone", Value: value(t, `"x"`)})
	d.do(t, "s", v1.Op{Op: "remove", Type: "twopset", Key: "gone", Value: value(t, `"x"`)})
	d.do(t, "s", v1.Op{Op: "inc", Key: "full", By: by(math.MaxInt64)})
	d.do(t, "s", v1.Op{Op: "inc", Type: "gcounter", Key: "full"}, v1.Op{Op: "inc", Type: "bounded", Key: "stock", By: by(3)})
	d.do(t, "s", v1.Op{Op: "add", Type: "uset", Key: "once", Value: value(t, `"x"`)})
	long := strings.Repeat("x", 5000)
	good := `{"op":"add","key":"k","value":1},`
	for _, c := range []struct{ ops, code, says string }{
		{``, v1.BadOp, "no operations"},
		{`{"op":"add","key":"k"}`, v1.BadOp, "wants a value"},
		{`{"op":"add","key":"k","value":1,"by":2}`, v1.BadOp, "takes no amount"},
		{`{"op":"inc","key":"k","value":1}`, v1.BadOp, "operations of pncounter are inc (by), reset"},
		{`{"op":"push","key":"k","value":1}`, v1.BadOp, "operations are add, clear, disable, enable, inc, remove, reset, set"},
		{`{"key":"k","value":1}`, v1.BadOp, `no operation ""`},
		{`{"op":"remove","type":"gset","key":"k","value":1}`, v1.BadOp, "operations of gset are add"},
		{`{"op":"add","type":"list","key":"k","value":1}`, v1.UnknownType, "types are bounded, dwflag"},
		{`{"op":"add","key":"","value":1}`, v1.BadName, "is empty"},
		{`{"op":"add","key":"` + long + `","value":1}`, v1.BadName, "1024"},
		{`{"op":"add","key":"k","value":"` + long + `"}`, v1.BadValue, "4096"},
		{`{"op":"add","key":"k","value":{"$cbor":"18ff00"}}`, v1.BadValue, "canonical"},
		{`{"op":"set","key":"k","value":"` + strings.Repeat(long, 60) + `"}`, v1.TooLarge, "split the transaction"},
		{`{"op":"set","key":"k","value":"` + strings.Repeat(long, 600) + `"}`, v1.TooLarge, "2097152"},
		{`{"op":"set","key":"k","value":` + strings.Repeat("[", 33) + strings.Repeat("]", 33) + `}`, v1.BadJSON, "nested too deep"},
		{`{"op":"set","key":"k","value":` + strings.Repeat("[", 99999), v1.BadJSON, "depth"},
		{`{"op":"set","key":"k","value":18446744073709551616}`, v1.BadJSON, "64 bits"},
		{`{"op":"set","key":"k","value":1e999}`, v1.BadJSON, "64-bit floats"},
		{`{"op":"set","key":"k","value":{"a":1,"a":2}}`, v1.BadJSON, "comes twice"},
		{`{"op":"set","key":"k","key":"l","value":1}`, v1.BadJSON, "comes twice"},
		{`{"op":"set","key":"k","value":"` + "\xff" + `"}`, v1.BadJSON, "UTF-8"},
		{`{"op":"set","key":"k","value":"\ud800"}`, v1.BadJSON, "surrogate"},
		{`{"op":"set","key":"\udc00","value":1}`, v1.BadJSON, "surrogate"},
		{`{"op":"set","key":"k","value":1`, v1.BadJSON, "at byte"},
		{`{"op":"set","key":"k","value":1}}`, v1.BadJSON, "at byte"},
		{`{"op":"set","key":"k","value":1,"ttl":5}`, v1.BadRequest, "unknown field"},
		{`{"op":"set","key":5,"value":1}`, v1.BadRequest, `"ops.key" cannot be the number`},
		{`{"op":"inc","key":"k","by":"2"}`, v1.BadRequest, `cannot be the string`},
		{`{"op":"inc","key":"k","by":1.5}`, v1.BadRequest, "cannot be the number 1.5"},
		{`{"op":"inc","key":"k","by":9223372036854775808}`, v1.BadRequest, "cannot be the number"},
		{`{"op":"inc","key":"full","by":9223372036854775807}`, v1.CounterOverflow, "another key"},
		{`{"op":"add","type":"twopset","key":"gone","value":"x"}`, v1.ElementRemoved, "orset"},
		{`{"op":"add","type":"uset","key":"once","value":"x"}`, v1.ElementExists, "UUID"},
		{`{"op":"inc","type":"gcounter","key":"k","by":-1}`, v1.BadOp, "use pncounter"},
		{`{"op":"reset","type":"gcounter","key":"k"}`, v1.BadOp, "operations of gcounter are inc (by)"},
		{`{"op":"inc","type":"gcounter","key":"full","by":9223372036854775807}`, v1.CounterOverflow, "another key"},
		{`{"op":"inc","type":"bounded","key":"stock","by":-4}`, v1.TooFewRights, "count up on this device first"},
		{`{"op":"inc","type":"bounded","key":"stock","by":-9223372036854775808}`, v1.TooFewRights, "by 3, not by 9223372036854775808"},
		{`{"op":"enable","key":"k","value":true}`, v1.BadOp, "operations of ewflag are disable, enable"},
		{`{"op":"set","type":"ewflag","key":"k","value":true}`, v1.BadOp, "operations of ewflag are disable, enable"},
		{`{"op":"enable","type":"orset","key":"k"}`, v1.BadOp, "operations of orset are add (value), remove (value)"},
		{`{"op":"set","type":"lwwmap","key":"k","value":1}`, v1.BadOp, "set wants a field operations of lwwmap are remove (field), set (field, value)"},
		{`{"op":"set","key":"k","field":1}`, v1.BadOp, "set wants a value operations of lwwmap"},
		{`{"op":"remove","key":"k","field":1,"value":2}`, v1.BadOp, "remove takes no value operations of lwwmap"},
		{`{"op":"set","type":"lww","key":"k","field":1,"value":2}`, v1.BadOp, "set takes no field operations of lww are set (value)"},
		{`{"op":"add","key":"k","field":1,"value":2}`, v1.BadOp, "add takes no field"},
		{`{"op":"set","key":"k","field":"` + long + `","value":1}`, v1.BadValue, "4096"},
		{`{"op":"set","type":"ormap","key":"k","field":1,"value":2}`, v1.ReadOnlyType, "node.ORMap"},
	} {
		d.expect(t, "POST", "/v1/spaces/s/tx", `{"ops":[`+c.ops+`]}`, c.code, c.says, nil)
		if c.ops == "" {
			continue
		}
		d.expect(t, "POST", "/v1/spaces/s/tx", `{"ops":[`+good+c.ops+`]}`, c.code, c.says, nil)
	}
}

func TestProblemNamesTheOperation(t *testing.T) {
	d := serve(t, node.Config{})
	for _, body := range []string{
		`{"ops":[{"op":"inc","key":"k"},{"op":"inc","key":""}]}`,
		`{"ops":[{"op":"inc","key":"k"},{"op":"inc","key":"k","type":"lww"}]}`,
	} {
		if p := d.request(t, "POST", "/v1/spaces/s/tx", body, nil); p.Op == nil || *p.Op != 1 {
			t.Errorf("%s: problem %+v, want one of operation 1", body, p)
		}
	}
}

func TestBadRequests(t *testing.T) {
	d := serve(t, node.Config{})
	d.do(t, "s", v1.Op{Op: "set", Key: "title", Value: value(t, `1`)})
	for _, c := range []struct{ method, path, body, code, says string }{
		{"GET", "/", "", v1.NotFound, "/v1/status"},
		{"GET", "/v1/spaces/s", "", v1.NotFound, "nothing at"},
		{"GET", "/v2/status", "", v1.NotFound, "nothing at"},
		{"PUT", "/v1/status", "", v1.MethodNotAllowed, "use GET"},
		{"DELETE", "/v1/spaces/s/objects/lww/title", "", v1.MethodNotAllowed, "use GET"},
		{"GET", "/v1/import", "", v1.MethodNotAllowed, "use POST"},
		{"GET", "/v1/sync", "", v1.Upgrade, "WebSocket"},
		{"GET", "/v1/spaces/s/objects/list/k", "", v1.UnknownType, "types are"},
		{"GET", "/v1/spaces/s/objects/lww/nope", "", v1.ObjectNotFound, "nothing was written"},
		{"GET", "/v1/spaces/none/objects/lww/title", "", v1.ObjectNotFound, "nothing was written"},
		{"GET", "/v1/spaces/s/objects/orset/title", "", v1.ObjectNotFound, "of type lww"},
		{"GET", "/v1/spaces/s/objects?limit=0", "", v1.BadRequest, "limit"},
		{"GET", "/v1/spaces/s/objects?limit=1001", "", v1.BadRequest, "1000"},
		{"GET", "/v1/spaces/s/objects?limit=ten", "", v1.BadRequest, "limit"},
		{"GET", "/v1/spaces/s/objects?after=!", "", v1.BadRequest, "after"},
		{"GET", "/v1/spaces/s/objects?after=AAAA", "", v1.BadRequest, "after"},
		{"GET", "/v1/spaces/%FF/objects", "", v1.BadName, "UTF-8"},
		{"GET", "/v1/spaces/" + strings.Repeat("x", 256) + "/objects/lww/k", "", v1.BadName, "255"},
		{"GET", "/v1/spaces/" + strings.Repeat("x", 256) + "/watch", "", v1.BadName, "255"},
		{"GET", "/v1/spaces/none/export", "", v1.NotFound, "holds nothing"},
		{"POST", "/v1/spaces/%FF/tx", `{"ops":[{"op":"inc","key":"k"}]}`, v1.BadName, "UTF-8"},
		{"POST", "/v1/spaces/s/objects/lww/k", `{"op":"set","key":"other","value":1}`, v1.BadRequest, "in its path"},
		{"POST", "/v1/spaces/s/objects/lww/k", `[]`, v1.BadRequest, "array"},
		{"POST", "/v1/spaces/s/objects/lww/", `{"op":"set","value":1}`, v1.BadName, "is empty"},
		{"POST", "/v1/spaces/s/tx", ``, v1.BadJSON, "unexpected end"},
		{"POST", "/v1/spaces/s/tx", `null`, v1.BadOp, "no operations"},
		{"POST", "/v1/peers", `{"url":""}`, v1.BadPeer, "no host"},
		{"POST", "/v1/peers", `{"url":"ftp://x"}`, v1.BadPeer, "scheme"},
		{"POST", "/v1/peers", `{"url":"http://u:p@x"}`, v1.BadPeer, "more than host"},
		{"POST", "/v1/peers", `{"url":"ws://x:y"}`, v1.BadPeer, "no URL"},
		{"DELETE", "/v1/peers?url=ws://127.0.0.1:9", "", v1.PeerNotFound, "peers list"},
		{"DELETE", "/v1/peers", "", v1.BadPeer, "no host"},
	} {
		d.expect(t, c.method, c.path, c.body, c.code, c.says, nil)
	}
}

func TestForeignRequests(t *testing.T) {
	d := serve(t, node.Config{})
	host := strings.TrimPrefix(d.url, "http://")
	port := host[strings.LastIndex(host, ":"):]
	for _, c := range []struct{ key, value, code string }{
		{"Origin", "https://evil.example", v1.ForeignOrigin},
		{"Origin", "null", v1.ForeignOrigin},
		{"Origin", "http://127.0.0.1:1", v1.ForeignOrigin},
		{"Sec-Fetch-Site", "cross-site", v1.ForeignOrigin},
		{"Sec-Fetch-Site", "same-site", v1.ForeignOrigin},
		{"Host", "evil.example" + port, v1.ForeignHost},
		{"Host", "localhost.evil.example" + port, v1.ForeignHost},
		{"Host", "127.0.0.1.evil.example", v1.ForeignHost},
		{v1.DirHeader, "/", v1.OtherDaemon},
		{v1.DirHeader, "/does/not/exist", v1.OtherDaemon},
		{v1.DirHeader, "%zz", v1.OtherDaemon},
	} {
		for _, r := range []struct{ method, path, body string }{
			{"POST", "/v1/spaces/s/tx", `{"ops":[{"op":"inc","key":"k"}]}`},
			{"GET", "/v1/status", ""},
			{"GET", "/v1/sync", ""},
			{"POST", "/v1/import", ""},
			{"GET", "/livez", ""},
		} {
			d.expect(t, r.method, r.path, r.body, c.code, "", http.Header{c.key: {c.value}})
		}
	}
	for _, h := range []http.Header{
		{"Origin": {d.url}},
		{"Sec-Fetch-Site": {"same-origin"}},
		{"Sec-Fetch-Site": {"none"}},
		{"Host": {"localhost" + port}},
		{"Host": {"LOCALHOST"}},
		{"Host": {"[::1]" + port}},
		{"Host": {"192.0.2.7" + port}},
		{"Host": {"hub.example" + port}},
		{v1.DirHeader: {d.dir}},
	} {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", d.url+"/v1/status", nil)
		req.Header, req.Host = h, h.Get("Host")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%v: %s, want it answered", h, resp.Status)
		}
	}
}

// dropFile returns what n exports of the space "s".
func dropFile(t *testing.T, n *node.Node, cut node.Cut) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := n.Space("s").Export(t.Context(), &b, cut); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBadDropFiles(t *testing.T) {
	a, d := serve(t, node.Config{}), serve(t, node.Config{})
	d.do(t, "s", v1.Op{Op: "set", Key: "mine", Value: value(t, `1`)})
	a.do(t, "s", v1.Op{Op: "set", Key: "k", Value: value(t, `1`)})
	file := dropFile(t, a.node, node.Cut{})
	flipped := bytes.Clone(file)
	flipped[len(flipped)/2] ^= 1
	for _, c := range []struct {
		file []byte
		says string
	}{
		{nil, "ends early"},
		{[]byte("hello, world\n"), "not a drop file"},
		{[]byte("joinery drop file 9\n"), "upgrade"},
		{file[:20], "ends early"},
		{file[:60], "ends early"},
		{flipped, "again"},
	} {
		d.expect(t, "POST", "/v1/import", string(c.file), v1.BadFile, c.says, nil)
	}
	for i := range file {
		// Whatever is cut off, it is said, and what was applied is sound.
		p := d.request(t, "POST", "/v1/import", string(file[:i]), nil)
		if p.Code != v1.BadFile || p.Import == nil {
			t.Fatalf("the first %d bytes: %+v", i, p)
		}
	}
	if o, err := d.api.Object(t.Context(), "s", "lww", "mine"); err != nil || o.Value.Text() != "1" {
		t.Errorf("what was there is %s, %v", o.Value.Text(), err)
	}
	if p := d.request(t, "POST", "/v1/import", string(file)+"x", nil); p.Code != v1.BadFile || p.Import.Applied+p.Import.Duplicate != 1 {
		t.Errorf("the whole file and more: %+v, want bad_drop_file, and the change taken", p)
	}
	if _, err := d.api.Import(t.Context(), bytes.NewReader(file)); err != nil {
		t.Errorf("the whole file afterwards: %v", err)
	}
}

func TestIncompleteDropFile(t *testing.T) {
	a, d := serve(t, node.Config{}), serve(t, node.Config{})
	a.do(t, "s", v1.Op{Op: "inc", Key: "k"})
	first := dropFile(t, a.node, node.Cut{})
	seen := a.node.Space("s").Vector()
	a.do(t, "s", v1.Op{Op: "inc", Key: "k"})
	rest := dropFile(t, a.node, node.Cut{Since: seen})
	report, err := d.api.Import(t.Context(), bytes.NewReader(rest))
	p, ok := errors.AsType[*v1.Problem](err)
	if !ok || p.Code != v1.FileIncomplete || p.Status != http.StatusConflict || report.Waiting != 1 {
		t.Errorf("import = %+v, %v, want file_incomplete with one waiting", report, err)
	}
	for _, file := range [][]byte{first, rest} {
		if _, err := d.api.Import(t.Context(), bytes.NewReader(file)); err != nil {
			t.Error(err)
		}
	}
	if o, err := d.api.Object(t.Context(), "s", "pncounter", "k"); err != nil || o.Value.Text() != "2" {
		t.Errorf("the counter is %s, %v, want 2", o.Value.Text(), err)
	}
}

func TestForkedDropFile(t *testing.T) {
	a, b, d := forked(t), forked(t), serve(t, node.Config{})
	a.do(t, "s", v1.Op{Op: "inc", Key: "k"})
	b.do(t, "s", v1.Op{Op: "inc", Key: "other"})
	b.do(t, "s", v1.Op{Op: "inc", Key: "other"})
	carry(t, a, d, "s")
	report, err := d.api.Import(t.Context(), bytes.NewReader(dropFile(t, b.node, node.Cut{Since: merge.VectorOf(merge.Dot{Origin: origin, Seq: 1})})))
	p, ok := errors.AsType[*v1.Problem](err)
	if !ok || p.Code != v1.ChangesRefused || report.Refused != 1 || report.Reason == "" {
		t.Errorf("import = %+v, %v, want changes_refused", report, err)
	}
	st, err := d.api.Status(t.Context())
	if err != nil || len(st.Problems) != 1 || st.Problems[0].Code != "origin_forked" || st.Problems[0].Action == "" {
		t.Errorf("problems = %+v, %v, want origin_forked", st.Problems, err)
	}
}
