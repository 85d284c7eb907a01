// Package controllers stands in for the multi-cluster controllers: Cilium uses one constant of theirs.
package controllers

// DerivedServiceAnnotation names the Service that was made for a ServiceImport.
const DerivedServiceAnnotation = "multicluster.kubernetes.io/derived-service"
