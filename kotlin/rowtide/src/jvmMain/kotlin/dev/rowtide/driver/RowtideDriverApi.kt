package dev.rowtide.driver

/**
 * For authors of database drivers (the modules `rowtide-androidx` and `rowtide-sqldelight`): it may change with any
 * release. Apps use [dev.rowtide.RowtideDatabase].
 */
@RequiresOptIn("For authors of database drivers; it may change with any release.")
@Retention(AnnotationRetention.BINARY)
@Target(AnnotationTarget.CLASS, AnnotationTarget.FUNCTION, AnnotationTarget.PROPERTY)
public annotation class RowtideDriverApi
