package dev.rowtide.android;

import static org.junit.Assert.assertEquals;

import androidx.work.Constraints;
import androidx.work.WorkInfo;
import androidx.work.WorkManager;
import java.time.Duration;
import java.util.List;
import org.junit.After;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;

/** Work in the background, requested in Java. */
@RunWith(RobolectricTestRunner.class)
public class JavaTest {
    private final TestApp app = (TestApp) RuntimeEnvironment.getApplication();
    private final TestWork work = new TestWork(app);

    @After
    public void close() {
        work.close();
    }

    private WorkInfo request(String name) throws Exception {
        List<WorkInfo> requests = WorkManager.getInstance(app).getWorkInfosForUniqueWork(name).get();
        assertEquals(1, requests.size());
        return requests.get(0);
    }

    @Test
    public void workIsRequestedWithTimesOfJava() throws Exception {
        SyncWork brief = new SyncWork(Constraints.NONE, Duration.ofMinutes(1), 1_000_000L);
        brief.enqueue(app, Duration.ofHours(1)).getResult().get();
        assertEquals(Duration.ofHours(1).toMillis(), request(SyncWork.ONCE).getInitialDelayMillis());
        assertEquals(Constraints.NONE, request(SyncWork.ONCE).getConstraints());

        brief.enqueuePeriodic(app, Duration.ofHours(3)).getResult().get();
        assertEquals(
            Duration.ofHours(3).toMillis(), request(SyncWork.PERIODIC).getPeriodicityInfo().getRepeatIntervalMillis());

        SyncWork.cancel(app);
        assertEquals(WorkInfo.State.CANCELLED, request(SyncWork.ONCE).getState());
        assertEquals(WorkInfo.State.CANCELLED, request(SyncWork.PERIODIC).getState());
    }
}
