// SPDX-License-Identifier: Apache-2.0

// Go's HTTP server and client; see README.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

type field [2]string

func fieldsOf(h http.Header) []field {
	list := []field{}
	for name, values := range h {
		for _, v := range values {
			list = append(list, field{name, v})
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i][0] < list[j][0] })
	return list
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 % 251)
	}
	return b
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// ---- server ----

var aborted atomic.Int64

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		aborted.Add(1)
		return
	}
	out, _ := json.Marshal(map[string]any{"method": r.Method, "target": r.RequestURI, "host": r.Host, "fields": fieldsOf(r.Header),
		"length": len(body), "sum": sum(body), "trailers": fieldsOf(r.Trailer)})
	w.Header().Set("Content-Type", "application/json")
	if r.URL.RawQuery != "streamed" {
		w.Write(out)
		return
	}
	w.Header().Set("Trailer", "X-Sum")
	for len(out) > 0 {
		n := min(len(out), 100)
		w.Write(out[:n])
		w.(http.Flusher).Flush()
		out = out[n:]
	}
	w.Header().Set("X-Sum", sum(body))
}

func serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	what, arg, _ := strings.Cut(r.URL.Path[1:], "/")
	n, _ := strconv.Atoi(arg)
	switch what {
	case "echo":
		echo(w, r)
	case "check":
		s := sha256.New()
		io.Copy(s, r.Body)
		if hex.EncodeToString(s.Sum(nil)) != arg {
			w.WriteHeader(500)
		}
	case "bytes":
		h.Set("Content-Length", arg)
		w.Write(pattern(n))
	case "stream":
		w.(http.Flusher).Flush()
		w.Write(pattern(n))
	case "status":
		h.Set("ETag", `"tag"`)
		w.WriteHeader(n)
	case "cookies":
		h["Set-Cookie"] = []string{"a=1; Path=/", "b=2, with; a=comma"}
		h["X-Odd-CASE"] = []string{"kept"}
		h["X-Dup"] = []string{"one", "two"}
		h["X-Empty"] = []string{""}
	case "big":
		for i := range 12 {
			h.Set(fmt.Sprintf("X-Big-%d", i), strings.Repeat("b", 1000))
		}
	case "gzip":
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(bytes.Repeat([]byte("text "), 10000))
		z.Close()
		h.Set("Content-Encoding", "gzip")
		w.Write(b.Bytes())
	case "early":
		h.Set("Connection", "close")
		w.WriteHeader(413)
	case "aborted":
		fmt.Fprint(w, aborted.Load())
	}
}

func protocols(one bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(one)
	p.SetUnencryptedHTTP2(true)
	return p
}

func server(addr string) {
	s := &http.Server{Addr: addr, Handler: http.HandlerFunc(serve), Protocols: protocols(true)}
	fmt.Fprintln(os.Stderr, s.ListenAndServe())
}

// ---- client ----

type tcase struct {
	Name, Method, Path     string
	Fields, Trailers       []field
	Body                   *int
	Chunked, Expect, Abort bool
}

// A body whose length shows only when it ends, or that breaks off.
type hidden struct {
	io.Reader
	end error
}

func (h hidden) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if err == io.EOF && h.end != nil {
		time.Sleep(100 * time.Millisecond) // so that the server has begun to read
		err = h.end
	}
	return n, err
}

func request(base string, c tcase) *http.Request {
	var body io.Reader
	if c.Body != nil {
		body = bytes.NewReader(pattern(*c.Body))
		if c.Abort {
			body = hidden{bytes.NewReader(pattern(*c.Body / 2)), errors.New("broken off")}
		} else if c.Chunked || len(c.Trailers) > 0 {
			body = hidden{body, nil}
		}
	}
	ctx, _ := context.WithTimeout(context.Background(), 10*time.Second)
	r, err := http.NewRequestWithContext(ctx, c.Method, base+c.Path, body)
	if err != nil {
		panic(err)
	}
	if c.Abort {
		r.ContentLength = int64(*c.Body)
	}
	for _, f := range c.Fields {
		r.Header[f[0]] = append(r.Header[f[0]], f[1])
	}
	for _, f := range c.Trailers {
		if r.Trailer == nil {
			r.Trailer = http.Header{}
		}
		r.Trailer.Add(f[0], f[1])
	}
	if c.Expect {
		r.Header.Set("Expect", "100-continue")
	}
	return r
}

func exchange(t *http.Transport, base string, c tcase) map[string]any {
	interim := []int{}
	r := request(base, c)
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { interim = append(interim, code); return nil }}))
	a, err := t.RoundTrip(r)
	if err != nil {
		return map[string]any{"error": true, "text": err.Error()}
	}
	body, err := io.ReadAll(a.Body)
	a.Body.Close()
	out := map[string]any{"status": a.StatusCode, "fields": fieldsOf(a.Header), "trailers": fieldsOf(a.Trailer),
		"length": len(body), "sum": sum(body), "broken": err != nil, "interim": interim, "declared": a.ContentLength}
	if len(body) < 20000 {
		out["body"] = string(body)
	}
	return out
}

// Whether the server notices that a body broke off.
func abort(t *http.Transport, base string, c tcase) map[string]any {
	count := func() any { return exchange(t, base, tcase{Method: "GET", Path: "/aborted"})["body"] }
	before := count()
	exchange(t, base, c)
	for range 60 {
		if count() != before {
			return map[string]any{"noticed": true}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return map[string]any{"noticed": false}
}

func client(one bool, host, file string, ports []string) {
	var cases []tcase
	text, _ := os.ReadFile(file)
	if err := json.Unmarshal(text, &cases); err != nil {
		panic(err)
	}
	all := map[string]any{}
	for _, p := range ports {
		t := &http.Transport{DisableCompression: true, ExpectContinueTimeout: 5 * time.Second, Protocols: protocols(false)}
		if one {
			t.Protocols = new(http.Protocols)
			t.Protocols.SetHTTP1(true)
		}
		results := map[string]any{}
		for _, c := range cases {
			do := exchange
			if c.Abort {
				do = abort
			}
			results[c.Name] = do(t, "http://"+host+":"+p, c)
		}
		all[p] = results
	}
	json.NewEncoder(os.Stdout).Encode(all)
}

func main() {
	if os.Args[1] == "server" {
		server(os.Args[2])
		return
	}
	client(os.Args[1] == "http1", os.Args[2], os.Args[3], os.Args[4:])
}
