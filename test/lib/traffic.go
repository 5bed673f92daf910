// SPDX-License-Identifier: Apache-2.0

// Traffic of every kind that the mesh carries, each request's outcome counted: a server and a client.
//
//	traffic serve
//	traffic ask HOST RATE SECONDS [hold]
//	traffic idle                            a place to run the client in
//
// The server speaks HTTP/1.1, HTTP/2, gRPC and WebSocket at port 8080 and echoes bytes at 2525; SIGTERM ends it when
// what it has begun is over.  The client begins a request when it is due, whatever became of those before.  With "hold"
// sessions stand for the whole time beside that, and each of their messages counts.  At the end, or a second after
// SIGTERM, the client prints JSON:
//
//	done   how many succeeded, by kind              again  how many the client's library had to send twice
//	bad    [kind, begun, ended, why] of each failure; times in seconds since 1970
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const patience = 20 * time.Second

// ---- frames: of gRPC, and of WebSocket with fewer than 126 bytes ----

func grpcFrame(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(b))), b...)
}

func grpcRead(r io.Reader) ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

const opText, opClose = 1, 8

func wsFrame(op byte, b []byte, masked bool) []byte {
	f := []byte{0x80 | op, byte(len(b))}
	if masked { // with zeros, which change nothing
		f[1] |= 0x80
		f = append(f, 0, 0, 0, 0)
	}
	return append(f, b...)
}

func wsRead(r io.Reader) (op byte, b []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return
	}
	n := int(head[1] & 0x7f)
	if head[1]&0x80 != 0 {
		n += 4
	}
	b = make([]byte, n)
	if _, err = io.ReadFull(r, b); err == nil && head[1]&0x80 != 0 {
		b = b[4:]
	}
	return head[0] & 15, b, err
}

// ---- server ----

var sessions sync.WaitGroup // that no http.Server knows

func serveGRPC(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("content-type", "application/grpc")
	w.Header().Set("trailer", "grpc-status")
	out := http.NewResponseController(w)
	for {
		m, err := grpcRead(r.Body)
		if err != nil {
			break
		}
		work(r)
		w.Write(grpcFrame(m))
		out.Flush()
	}
	w.Header().Set("grpc-status", "0")
}

func serveWS(w http.ResponseWriter, r *http.Request) {
	sessions.Add(1)
	defer sessions.Done()
	c, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
	for {
		op, b, err := wsRead(buf)
		if err != nil {
			return
		}
		c.Write(wsFrame(op, b, false))
		if op == opClose {
			return
		}
	}
}

// So that there is something in flight at each moment.
func work(r *http.Request) {
	d, _ := time.ParseDuration(r.Header.Get("x-wait"))
	time.Sleep(d)
}

func handle(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("content-type") == "application/grpc":
		serveGRPC(w, r)
	case r.Header.Get("upgrade") == "websocket":
		serveWS(w, r)
	default:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		work(r)
		w.Header().Set("content-length", strconv.Itoa(len(body)+len(r.URL.RawQuery)))
		io.WriteString(w, r.URL.RawQuery)
		w.Write(body)
	}
}

func echo(c net.Conn) {
	defer sessions.Done()
	defer c.Close()
	io.Copy(c, c)
}

func serve() {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	s := http.Server{Addr: ":8080", Handler: http.HandlerFunc(handle), Protocols: &p}
	l, err := net.Listen("tcp", ":2525")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			sessions.Add(1)
			go echo(c)
		}
	}()
	go s.ListenAndServe()
	<-told()
	time.Sleep(time.Second) // who still knows this server is let in: a POST, or bytes, cannot be sent twice
	l.Close()
	s.Shutdown(context.Background())
	sessions.Wait()
}

func told() chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	return c
}

// ---- client: one request of each kind; nil when it was answered as it should be ----

var host, addr string
var h1, h2 http.Client

func dial(ctx context.Context, _, to string) (net.Conn, error) {
	_, port, _ := net.SplitHostPort(to)
	return (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(addr, port))
}

func clients() {
	var one, two http.Protocols
	one.SetHTTP1(true)
	two.SetUnencryptedHTTP2(true)
	h1.Transport = &http.Transport{DialContext: dial, Protocols: &one, MaxIdleConnsPerHost: 64}
	h2.Transport = &http.Transport{DialContext: dial, Protocols: &two}
}

func request(ctx context.Context, method, kind string, body io.Reader) *http.Request {
	sent := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() {
		if sent++; sent > 1 {
			tell.twice()
		}
	}})
	r, err := http.NewRequestWithContext(ctx, method, "http://"+host+":8080/echo?question", body)
	if err != nil {
		panic(err)
	}
	r.Header.Set("content-type", kind)
	r.Header.Set("x-wait", "10ms")
	return r
}

func refused(res *http.Response) error {
	h, why := res.Header, ""
	for _, name := range []string{"grpc-status", "grpc-message", "l5d-proxy-error"} {
		if v := h.Get(name) + res.Trailer.Get(name); v != "" {
			why += ", " + name + ": " + v
		}
	}
	return fmt.Errorf("status %d%s", res.StatusCode, why)
}

func plain(ctx context.Context, c *http.Client, method, body string) error {
	res, err := c.Do(request(ctx, method, "text/plain", strings.NewReader(body)))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("%w after %d bytes of the body", err, len(got))
	}
	if res.StatusCode != 200 {
		return refused(res)
	}
	if string(got) != "question"+body {
		return fmt.Errorf("another body: %.100q", got)
	}
	return nil
}

func over(res *http.Response) error {
	rest, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if len(rest) > 0 || res.Trailer.Get("grpc-status") != "0" {
		return refused(res)
	}
	return nil
}

func unary(ctx context.Context) error {
	res, err := h2.Do(request(ctx, "POST", "application/grpc", bytes.NewReader(grpcFrame([]byte("word")))))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if m, err := grpcRead(res.Body); err != nil || string(m) != "word" {
		return errors.Join(err, over(res), refused(res))
	}
	return over(res)
}

// A session: each step sends something and waits for its echo; end() says goodbye.
type session interface {
	step(n int) error
	end() error
	cut()
}

type stream struct {
	res  *http.Response
	body *io.PipeWriter
}

func openStream(ctx context.Context) (session, error) {
	r, w := io.Pipe()
	go w.Write(grpcFrame([]byte("hello")))
	res, err := h2.Do(request(ctx, "POST", "application/grpc", r))
	if err != nil {
		w.Close()
		return nil, err
	}
	s := &stream{res, w}
	if m, err := grpcRead(res.Body); err != nil || string(m) != "hello" {
		s.cut()
		return nil, errors.Join(err, refused(res))
	}
	return s, nil
}

func (s *stream) step(n int) error {
	word := []byte(fmt.Sprintf("message %d", n))
	if _, err := s.body.Write(grpcFrame(word)); err != nil {
		return errors.Join(err, over(s.res))
	}
	m, err := grpcRead(s.res.Body)
	if err == nil && !bytes.Equal(m, word) {
		err = fmt.Errorf("another message: %.100q", m)
	}
	if err != nil {
		return errors.Join(err, refused(s.res))
	}
	return nil
}

func (s *stream) end() error { s.body.Close(); defer s.res.Body.Close(); return over(s.res) }
func (s *stream) cut()       { s.body.Close(); s.res.Body.Close() }

type socket struct {
	net.Conn
	r   *bufio.Reader
	web bool
}

func openSocket(ctx context.Context, port string, web bool) (*socket, error) {
	c, err := dial(ctx, "tcp", ":"+port)
	if err != nil {
		return nil, err
	}
	if until, ok := ctx.Deadline(); ok {
		c.SetDeadline(until)
	}
	return &socket{c, bufio.NewReader(c), web}, nil
}

func openTCP(ctx context.Context) (session, error) {
	s, err := openSocket(ctx, "2525", false)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func openWS(ctx context.Context) (session, error) {
	s, err := openSocket(ctx, "8080", true)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(s, "GET /ws HTTP/1.1\r\nhost: %s:8080\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"+
		"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", host)
	res, err := http.ReadResponse(s.r, nil)
	if err == nil && res.StatusCode != 101 {
		err = refused(res)
	}
	if err != nil {
		s.cut()
		return nil, err
	}
	return s, nil
}

func (s *socket) step(n int) error {
	word := []byte(fmt.Sprintf("message %d", n))
	out := word
	if s.web {
		out = wsFrame(opText, word, true)
	}
	if _, err := s.Write(out); err != nil {
		return err
	}
	var err error
	got := make([]byte, len(word))
	if s.web {
		_, got, err = wsRead(s.r)
	} else {
		_, err = io.ReadFull(s.r, got)
	}
	if err == nil && !bytes.Equal(got, word) {
		err = fmt.Errorf("another message: %.100q", got)
	}
	return err
}

func (s *socket) end() error {
	defer s.Close()
	if s.web {
		s.Write(wsFrame(opClose, nil, true))
		if op, _, err := wsRead(s.r); err != nil || op != opClose {
			return fmt.Errorf("no goodbye: %d %w", op, err)
		}
	} else if err := s.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	if n, err := s.r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return fmt.Errorf("no end: %w", err)
	}
	return nil
}

func (s *socket) cut() { s.Close() }

type opener func(context.Context) (session, error)

// Three messages and the end.
func short(open opener) func(context.Context) error {
	return func(ctx context.Context) error {
		s, err := open(ctx)
		for n := 0; err == nil && n < 3; n++ {
			err = s.step(n)
		}
		if err != nil {
			if s != nil {
				s.cut()
			}
			return err
		}
		return s.end()
	}
}

// ---- client: at which rate, and what became of it ----

type failure [4]any

type account struct {
	sync.Mutex
	Done  map[string]int `json:"done"`
	Again int            `json:"again"`
	Bad   []failure      `json:"bad"`
}

var tell = account{Done: map[string]int{}, Bad: []failure{}}

func (a *account) twice() {
	a.Lock()
	a.Again++
	a.Unlock()
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func (a *account) outcome(kind string, begun time.Time, err error) {
	a.Lock()
	defer a.Unlock()
	if err == nil {
		a.Done[kind]++
	} else {
		a.Bad = append(a.Bad, failure{kind, seconds(begun), seconds(time.Now()), strings.ReplaceAll(err.Error(), "\n", "; ")})
	}
}

var kinds = []struct {
	name  string
	share int // of twenty
	do    func(context.Context) error
}{
	{"http/1 get", 4, func(ctx context.Context) error { return plain(ctx, &h1, "GET", "") }},
	{"http/1 post", 2, func(ctx context.Context) error { return plain(ctx, &h1, "POST", strings.Repeat("x", 3000)) }},
	{"http/2 get", 4, func(ctx context.Context) error { return plain(ctx, &h2, "GET", "") }},
	{"http/2 post", 2, func(ctx context.Context) error { return plain(ctx, &h2, "POST", strings.Repeat("x", 3000)) }},
	{"grpc unary", 3, unary},
	{"grpc stream", 2, short(openStream)},
	{"websocket", 2, short(openWS)},
	{"tcp", 1, short(openTCP)},
}

// Which kind the n-th request is: spread, so that each second has its share of all.
func deal() []int {
	var order []int
	for round := 0; len(order) < 20; round++ {
		for i, k := range kinds {
			if round < k.share {
				order = append(order, i)
			}
		}
	}
	return order
}

func one(i int) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	begun := time.Now()
	tell.outcome(kinds[i].name, begun, kinds[i].do(ctx))
}

// Ten messages a second until the end; a session that breaks is one failure, and another is opened.
func held(name string, open opener, until <-chan struct{}) {
	for {
		begun := time.Now()
		s, err := open(context.Background())
		for n := 0; err == nil; n++ {
			select {
			case <-until:
				tell.outcome(name, begun, s.end())
				return
			case <-time.After(100 * time.Millisecond):
			}
			if err = s.step(n); err == nil {
				tell.outcome(name, begun, nil)
			}
		}
		tell.outcome(name, begun, err)
		if s != nil {
			s.cut()
		}
		select {
		case <-until:
			return
		case <-time.After(time.Second):
		}
	}
}

func ask(rate float64, length time.Duration, hold bool) {
	var all sync.WaitGroup
	order, begin, end := deal(), time.Now(), make(chan struct{})
	until := begin.Add(length)
	if hold {
		for name, open := range map[string]opener{"held stream": openStream, "held websocket": openWS, "held tcp": openTCP} {
			all.Go(func() { held(name, open, end) })
		}
	}
	term := told()
	for n := 0; ; n++ {
		at := begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		select {
		case <-term: // what it has to do yet
			until = time.Now().Add(time.Second)
		case <-time.After(time.Until(at)):
		}
		if !at.Before(until) {
			break
		}
		all.Go(func() { one(order[n%len(order)]) })
	}
	close(end)
	all.Wait()
}

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "serve":
		serve()
		return
	case len(os.Args) == 2 && os.Args[1] == "idle":
		<-told()
		return
	case len(os.Args) < 5:
		fmt.Fprintln(os.Stderr, "usage: traffic serve | traffic idle | traffic ask HOST RATE SECONDS [hold]")
		os.Exit(2)
	}
	rate, _ := strconv.ParseFloat(os.Args[3], 64)
	length, _ := strconv.ParseFloat(os.Args[4], 64)
	host = os.Args[2]
	found, err := net.LookupHost(host)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	addr = found[0]
	clients()
	ask(rate, time.Duration(length*float64(time.Second)), len(os.Args) > 5)
	text, _ := json.Marshal(&tell)
	if folder := os.Getenv("TRAFFIC_OUT"); folder != "" {
		name, _ := os.Hostname()
		if err := os.WriteFile(folder+"/"+name, text, 0o644); err != nil {
			panic(err)
		}
		return
	}
	os.Stdout.Write(text)
}
