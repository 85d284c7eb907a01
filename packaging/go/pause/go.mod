module rackwright.example/packaging/pause

go 1.26.0
