// SPDX-License-Identifier: Apache-2.0

// Command testserver is the servers that check_cluster puts in the cluster:
//
//	testserver web ADDRESS             answers "HOSTNAME PATH" over HTTP
//	testserver webhook ADDRESS DIR     a mutating admission webhook: adds a label
//	testserver apiserver ADDRESS DIR   an aggregated API: one kind, one object
//
// DIR holds the tls.crt and tls.key to serve with, as a mounted TLS Secret does.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
)

type object = map[string]any

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: testserver web|webhook|apiserver ADDRESS [DIR]")
	}
	mode, address := os.Args[1], os.Args[2]
	switch mode {
	case "web":
		hostname, _ := os.Hostname()
		log.Fatal(http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			log.Print(r.RemoteAddr, " ", r.URL)
			fmt.Fprintln(w, hostname, r.URL.Path)
		})))
	case "webhook":
		serveTLS(address, os.Args[3], mutate)
	case "apiserver":
		serveTLS(address, os.Args[3], api)
	}
}

func serveTLS(address, dir string, handler http.HandlerFunc) {
	log.Fatal(http.ListenAndServeTLS(address, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), handler))
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// mutate answers an AdmissionReview: allowed, with the label "mutated=yes" added.
func mutate(w http.ResponseWriter, r *http.Request) {
	var review struct {
		Request struct{ UID string }
	}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	patch := `[{"op": "add", "path": "/metadata/labels/mutated", "value": "yes"}]`
	reply(w, object{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"response": object{
			"uid": review.Request.UID, "allowed": true,
			"patchType": "JSONPatch", "patch": base64.StdEncoding.EncodeToString([]byte(patch)),
		},
	})
}

// api serves the group verify.test/v1 with one Greeting, which names the user that
// the apiserver says it asks for.
func api(w http.ResponseWriter, r *http.Request) {
	const version = "verify.test/v1"
	log.Print(r.Header.Get("X-Remote-User"), " ", r.URL)
	greeting := object{
		"apiVersion": version, "kind": "Greeting",
		"metadata": object{"name": "hello"},
		"for":      r.Header.Get("X-Remote-User"),
	}
	switch r.URL.Path {
	case "/apis/" + version:
		reply(w, object{
			"apiVersion": "v1", "kind": "APIResourceList", "groupVersion": version,
			"resources": []object{{"name": "greetings", "singularName": "greeting", "namespaced": false,
				"kind": "Greeting", "verbs": []string{"get", "list"}}},
		})
	case "/apis/" + version + "/greetings":
		reply(w, object{"apiVersion": version, "kind": "GreetingList", "metadata": object{}, "items": []object{greeting}})
	case "/apis/" + version + "/greetings/hello":
		reply(w, greeting)
	default:
		http.NotFound(w, r)
	}
}
