"""How long an owner waits for the dashboard of a large study, and a rater for the next image while the report is computed.

    python tests/load/dashboard.py --images 100000 --ratings 1000000

Makes the study of next_image.py, in which every rating is 3, and opens its dashboard as the page does: the list of studies, then what there
is of the results. The report goes on in the background; meanwhile a rater rates.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from annotations.studies.study import Study
from app.owner_dashboard import PATIENCE, results
from app.owner_reports import Reports
from app.owner_results import ALL
from app.owner_tab import Studies
from tests.load.next_image import fill

FILTERS = ("", ALL, "", ALL, "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--ratings", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name), arguments.images, arguments.ratings)
        data, waits = Path(name) / "data", []
        studies, reports, study = Studies(data), Reports(data), Study(data, "large")
        start, busy = time.perf_counter(), time.process_time()
        studies.listed("large")
        studies.headed("large")
        results(reports, "large", FILTERS, PATIENCE)
        opened = time.perf_counter() - start
        known = reports.of("large", patience=0)
        while not known.ready.is_set():
            began = time.perf_counter()
            showing = study.show_next("the rater", browser="one")
            waits.append(time.perf_counter() - began)
            study.rate(showing.key, 4, browser="one")
            time.sleep(0.5)
        computed, busy = time.perf_counter() - start, time.process_time() - busy
        start = time.perf_counter()
        results(reports, "large", FILTERS, 0)
        again = time.perf_counter() - start
    print(f"dashboard opened in {opened:.2f} s, and with its report in {again:.2f} s")
    print(f"report computed in {computed:.1f} s, {busy:.1f} s of processor time with all else")
    if len(waits) > 1:
        slow = statistics.quantiles(waits, n=20)[-1]
        print(
            f"next image meanwhile: median {1000 * statistics.median(waits):.0f} ms, 95th percentile {1000 * slow:.0f} ms"
        )


if __name__ == "__main__":
    main()
