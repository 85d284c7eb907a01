"""From a workload to servers: instances, GPUs, racks and watts, by the design's chapter 6 or a site's own sweep."""
