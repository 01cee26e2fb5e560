//! Numbers for Prometheus.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::{Method, StatusCode};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"];
/// Upper bounds of the buckets of a request's time, in milliseconds.
const BUCKETS: [u64; 7] = [1, 5, 25, 100, 500, 2500, 10_000];

/// What was counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// By method and by the hundreds of the status.
    requests: [[AtomicU64; 5]; METHODS.len()],
    buckets: [AtomicU64; BUCKETS.len()],
    time_us: AtomicU64,
    count: AtomicU64,
    in_flight: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    collected: AtomicU64,
    collected_bytes: AtomicU64,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
}

impl Metrics {
    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that has its answer's head.
    pub(crate) fn end(&self, method: &Method, status: StatusCode, took: Duration) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let method = METHODS.iter().position(|known| *known == method.as_str());
        let method = method.unwrap_or(METHODS.len() - 1);
        let hundreds = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.requests[method][hundreds].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.time_us.fetch_add(micros, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(bucket) = BUCKETS.iter().position(|bound| micros <= bound * 1000) {
            self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn collected(&self, count: u64, bytes: u64) {
        self.collected.fetch_add(count, Ordering::Relaxed);
        self.collected_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn cache(&self, hit: bool) {
        let count = if hit {
            &self.cache_hits
        } else {
            &self.cache_misses
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the page of numbers.
    pub(crate) fn page(&self) -> String {
        let mut page = String::new();
        self.requests(&mut page);
        self.times(&mut page);
        self.numbers(&mut page);
        page
    }

    fn requests(&self, page: &mut String) {
        let name = "wharf_registry_requests_total";
        head(page, name, "counter", "Requests by method and status");
        for (method, row) in METHODS.iter().zip(&self.requests) {
            for (hundreds, count) in (1..).zip(row) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    line(
                        page,
                        &format!("{name}{{method=\"{method}\",status=\"{hundreds}xx\"}} {count}"),
                    );
                }
            }
        }
    }

    fn times(&self, page: &mut String) {
        let name = "wharf_registry_request_seconds";
        head(page, name, "histogram", "Time to an answer's head");
        let mut sum = 0;
        for (bound, count) in BUCKETS.iter().zip(&self.buckets) {
            sum += count.load(Ordering::Relaxed);
            let bound = Duration::from_millis(*bound).as_secs_f64();
            line(page, &format!("{name}_bucket{{le=\"{bound}\"}} {sum}"));
        }
        let count = self.count.load(Ordering::Relaxed);
        line(page, &format!("{name}_bucket{{le=\"+Inf\"}} {count}"));
        let seconds = Duration::from_micros(self.time_us.load(Ordering::Relaxed)).as_secs_f64();
        line(page, &format!("{name}_sum {seconds}\n{name}_count {count}"));
    }

    fn numbers(&self, page: &mut String) {
        for (name, kind, about, value) in [
            (
                "requests_in_flight",
                "gauge",
                "Requests being answered",
                &self.in_flight,
            ),
            (
                "sent_bytes_total",
                "counter",
                "Bytes of blobs and manifests asked for",
                &self.sent,
            ),
            (
                "received_bytes_total",
                "counter",
                "Bytes of blobs that came",
                &self.received,
            ),
            (
                "collected_total",
                "counter",
                "Contents that were collected",
                &self.collected,
            ),
            (
                "collected_bytes_total",
                "counter",
                "Their bytes",
                &self.collected_bytes,
            ),
            (
                "manifest_cache_hits_total",
                "counter",
                "Manifests from memory",
                &self.cache_hits,
            ),
            (
                "manifest_cache_misses_total",
                "counter",
                "Manifests from storage",
                &self.cache_misses,
            ),
        ] {
            let name = format!("wharf_registry_{name}");
            head(page, &name, kind, about);
            line(page, &format!("{name} {}", value.load(Ordering::Relaxed)));
        }
    }
}

fn head(page: &mut String, name: &str, kind: &str, about: &str) {
    line(
        page,
        &format!("# HELP {name} {about}\n# TYPE {name} {kind}"),
    );
}

fn line(page: &mut String, text: &str) {
    page.extend([text, "\n"]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::default();
        metrics.begin();
        metrics.begin();
        metrics.end(&Method::GET, StatusCode::OK, Duration::from_millis(3));
        metrics.sent(7);
        let page = metrics.page();
        for line in [
            "wharf_registry_requests_total{method=\"GET\",status=\"2xx\"} 1",
            "wharf_registry_request_seconds_bucket{le=\"0.001\"} 0",
            "wharf_registry_request_seconds_bucket{le=\"0.005\"} 1",
            "wharf_registry_request_seconds_bucket{le=\"+Inf\"} 1",
            "wharf_registry_request_seconds_count 1",
            "wharf_registry_requests_in_flight 1",
            "wharf_registry_sent_bytes_total 7",
        ] {
            assert!(page.lines().any(|known| known == line), "{line}\n{page}");
        }
    }
}
