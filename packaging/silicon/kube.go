package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const accountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount"

// cluster speaks to the API server with the pod's service account: two verbs on one object need no client library.
type cluster struct {
	client *http.Client
	base   string
}

// node is the part of a Kubernetes node that is looked at here.
type node struct {
	Metadata struct {
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Status struct {
		Allocatable map[string]string `json:"allocatable"`
	} `json:"status"`
}

func newCluster() (*cluster, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" {
		return nil, errors.New("not in a pod: KUBERNETES_SERVICE_HOST is not set")
	}
	authority, err := os.ReadFile(accountDirectory + "/ca.crt")
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, errors.New("the cluster's authority holds no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	return &cluster{
		client: &http.Client{Transport: transport, Timeout: 10 * time.Second},
		base:   "https://" + net.JoinHostPort(host, port),
	}, nil
}

// call sends one request; the token is read each time because the kubelet renews it.
func (c *cluster) call(ctx context.Context, method, path, contentType string, body []byte) ([]byte, error) {
	token, err := os.ReadFile(accountDirectory + "/token")
	if err != nil {
		return nil, fmt.Errorf("reading the service account's token: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	request.Header.Set("Accept", "application/json")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 8<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %.300s", method, path, response.Status, content)
	}
	return content, nil
}

// ownNode is the node this pod runs on, and its name.
func (c *cluster) ownNode(ctx context.Context) (*node, string, error) {
	name := os.Getenv("NODE_NAME")
	if name == "" {
		return nil, "", errors.New("NODE_NAME is not set (the downward API's spec.nodeName)")
	}
	content, err := c.call(ctx, http.MethodGet, "/api/v1/nodes/"+name, "", nil)
	if err != nil {
		return nil, name, err
	}
	own := &node{}
	return own, name, json.Unmarshal(content, own)
}

// label sets labels of a node; the API server leaves the others as they are.
func (c *cluster) label(ctx context.Context, name string, labels map[string]string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
	if err != nil {
		return err
	}
	_, err = c.call(ctx, http.MethodPatch, "/api/v1/nodes/"+name, "application/merge-patch+json", patch)
	return err
}

// every runs step at once and then at each interval until the context ends; failures are logged and tried again soon.
func every(ctx context.Context, interval time.Duration, step func(context.Context) error) {
	for {
		wait := interval
		if err := step(ctx); err != nil && ctx.Err() == nil {
			logf("%v; trying again", err)
			wait = min(interval, 2*time.Second)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
